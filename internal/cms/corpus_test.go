package cms

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpora finds the folder of real messages, which is not part of the repository.
func corpora(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PAPERKNIFE_SHARED"); dir != "" {
		return filepath.Join(dir, "corpora")
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		found := filepath.Join(dir, "..", "shared", "corpora")
		if _, err := os.Stat(found); err == nil {
			return found
		}
	}
	t.Skip("no folder ../shared/corpora beside the repository")
	return ""
}

type truth struct {
	Layers []struct {
		Layer   string
		Alg     string
		Verify  string
		Decrypt string
		Inner   string `json:"inner_sha256"`
	}
}

// holder is one who can decrypt.
type holder struct {
	cert []byte
	key  crypto.Decrypter
}

// TestCorpora holds every layer of the real messages against what OpenSSL found: signatures that verify, content
// that comes out, octet for octet.
func TestCorpora(t *testing.T) {
	root := corpora(t)
	needOpenSSL(t)
	raw, err := os.ReadFile(filepath.Join(root, "GROUND_TRUTH.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truths map[string]truth
	if err := json.Unmarshal(raw, &truths); err != nil {
		t.Fatal(err)
	}
	holders, certs := keyring(t, root)
	var verified, opened, skipped int
	for name, truth := range truths {
		entity, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, layer := range truth.Layers {
			object, detached := cmsOf(entity)
			if object == nil {
				if layer.Verify == "ok" || layer.Decrypt == "ok" {
					t.Errorf("%s: layer %d: no object found", name, i)
				}
				break
			}
			var inner []byte
			switch layer.Layer {
			case "signed-data", "multipart/signed":
				v, err := verify(bytes.NewReader(object), detached, certs...)
				if err != nil {
					t.Errorf("%s: layer %d: %v", name, i, err)
					break
				}
				inner = v.content
				good := len(v.errs) > 0
				unsupported := false
				for _, err := range v.errs {
					good = good && err == nil
					unsupported = unsupported || errors.Is(err, ErrAlgorithm) || errors.Is(err, ErrCertificate)
				}
				switch {
				case unsupported:
					t.Logf("%s: layer %d %s: %v", name, i, layer.Alg, v.errs)
					skipped++
				case good != (layer.Verify == "ok"):
					t.Errorf("%s: layer %d %s: %v, want %s", name, i, layer.Alg, v.errs, layer.Verify)
				default:
					verified++
				}
			case "enveloped-data":
				if inner, err = open(object, holders); err != nil {
					skipped++
					t.Logf("%s: layer %d %s: %v", name, i, layer.Alg, err)
					break
				}
				opened++
			default:
				skipped++
			}
			if inner == nil {
				break
			}
			if got := sha256.Sum256(inner); layer.Inner != "" && hex.EncodeToString(got[:]) != layer.Inner {
				t.Errorf("%s: layer %d: content differs", name, i)
			}
			entity = inner
		}
	}
	t.Logf("%d signed layers as OpenSSL says, %d opened, %d with algorithms or keys that are not ours", verified, opened, skipped)
	if verified < 69 || opened < 20 {
		t.Error("fewer than there were")
	}
}

// open decrypts with whichever holder is named.
func open(object []byte, holders []holder) ([]byte, error) {
	err := errors.New("no recipient known")
	for _, h := range holders {
		e, err := NewReader(bytes.NewReader(object)).EnvelopedData()
		if err != nil {
			return nil, err
		}
		if e.KeySize == 0 {
			return nil, ErrAlgorithm
		}
		for _, ri := range e.RecipientInfos {
			if !ri.IsFor(h.cert) {
				continue
			}
			out, _, err := decrypt(bytes.NewReader(object), h.cert, h.key)
			if err == nil {
				return out, nil
			}
		}
	}
	return nil, err
}

// keyring collects certificates and RSA keys, and brings together what belongs together.
func keyring(t *testing.T, root string) (holders []holder, certs [][]byte) {
	t.Helper()
	var keys []crypto.Decrypter
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".pem", ".crt", ".key", ".cer", ".pri":
		case ".p12":
			if filepath.Base(path) != "Bob.p12" {
				return nil
			}
		default:
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".p12" {
			raw = openssl(t, raw, "pkcs12", "-nodes", "-legacy", "-passin", "pass:nss")
		}
		blocks := [][]byte{raw}
		for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
			blocks = append(blocks, block.Bytes)
		}
		for _, der := range blocks {
			if _, ok := parseCertificate(der); ok {
				certs = append(certs, der)
			} else if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
				if key, ok := key.(crypto.Decrypter); ok {
					keys = append(keys, key)
				}
			} else if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
				keys = append(keys, key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		for _, key := range keys {
			if public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(key.Public()) {
				holders = append(holders, holder{der, key})
			}
		}
	}
	return holders, certs
}

// cmsOf finds the CMS object of a message or file: itself, in its body, or in the second part of a multipart/signed,
// where detached is the first part. It is enough for these messages and no MIME parser.
func cmsOf(entity []byte) (object, detached []byte) {
	if len(entity) > 0 && entity[0] == tagSequence {
		return entity, nil
	}
	if block, _ := pem.Decode(entity); block != nil {
		return block.Bytes, nil
	}
	header, body := splitEntity(entity)
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return nil, nil
	}
	if mediaType == "multipart/signed" {
		crlf := bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		parts := bytes.Split(append([]byte("\r\n"), crlf...), []byte("\r\n--"+params["boundary"]))
		if len(parts) < 3 {
			return nil, nil
		}
		object, _ = cmsOf(afterLine(parts[2]))
		return object, afterLine(parts[1])
	}
	if !strings.EqualFold(header.Get("Content-Transfer-Encoding"), "base64") {
		return body, nil
	}
	object, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body)))
	if err != nil {
		return nil, nil
	}
	return object, nil
}

func afterLine(p []byte) []byte {
	_, rest, _ := bytes.Cut(p, []byte("\r\n"))
	return rest
}

func splitEntity(p []byte) (textproto.MIMEHeader, []byte) {
	r := bufio.NewReader(bytes.NewReader(p))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil && err != io.EOF {
		return textproto.MIMEHeader{}, nil
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return textproto.MIMEHeader{}, nil
	}
	return header, body
}
