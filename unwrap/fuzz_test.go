package unwrap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperknife/internal/cms"
	"paperknife/internal/message"
	"paperknife/internal/spool"
	"paperknife/seal"
	"paperknife/unwrap"
)

var update = flag.Bool("update", false, "write the fuzz corpus again")

// fuzzSeeds are messages of every shape the walk knows.
func fuzzSeeds(t testing.TB) map[string][]byte {
	p := newParties(t)
	m := must(t)
	opaque := m(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{}))
	detached := m(seal.SignAsPerson([]byte(entity), p.author, seal.SignOptions{Detached: true}))
	domain := m(seal.SignAsDomain(detached, p.signer, seal.SignOptions{}))
	list := m(seal.SignAsMailingList(domain, p.author, seal.SignOptions{}))
	sealed := m(seal.EncryptTo(domain, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}))
	authenticated := m(seal.EncryptTo(domain, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{Cipher: seal.AES256GCM}))
	seeds := map[string][]byte{
		"plain": []byte(entity), "opaque": opaque, "detached": detached, "domain": domain, "list": list, "sealed": sealed,
		"sealed with GCM": authenticated,
		"empty":           seal.EmptySignature([]byte(entity)),
		"compressed":      compressEntity(t, opaque),
		"bare":            pkcs7Entity(contentInfo(cms.OIDCompressedData, compressedData(t, bareObject(t, opaque), cms.OIDSignedData))),
		"no protocol":     bytes.Replace(detached, []byte("protocol=\"application/pkcs7-signature\";"), nil, 1),
		"octet-stream":    bytes.Replace(opaque, []byte("application/pkcs7-mime"), []byte("application/octet-stream"), 1),
		"mixed":           []byte("Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + string(opaque) + "\r\n--m--\r\n"),
	}
	for name, e := range seeds {
		seeds[name] = seal.Message([]byte(header), e)
	}
	return seeds
}

func bareObject(t testing.TB, entity []byte) []byte {
	_, bare := bareOf(t, entity)
	return bare
}

// FuzzOpen: no message makes the walk panic or spend more than its limits, every view can be written, and a layer that
// is Good carries a signer that verified.
func FuzzOpen(f *testing.F) {
	for name, seed := range fuzzSeeds(f) {
		f.Add(seed)
		if *update && !strings.HasPrefix(name, "sealed") { // whose key is gone tomorrow
			file := filepath.Join("testdata", "fuzz", "FuzzOpen", name)
			check(f, os.MkdirAll(filepath.Dir(file), 0o755))
			check(f, os.WriteFile(file, fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", seed), 0o644))
		}
	}
	keys := oneKey{newParties(f).dca}
	f.Fuzz(func(t *testing.T, msg []byte) {
		src := spool.FromBytes(msg)
		h, err := message.ParseHeader(src)
		check(t, err)
		r, err := unwrap.Open(context.Background(), src, h, unwrap.Options{Keys: keys, Spool: spool.Settings{Dir: os.TempDir(), Memory: 1 << 20}})
		check(t, err)
		defer func() { check(t, r.Close()) }()
		if len(r.Layers) > 10 || r.PrivateKeyUses > 4 {
			t.Fatalf("%d layers, %d private-key operations", len(r.Layers), r.PrivateKeyUses)
		}
		for depth := range len(r.Layers) + 1 {
			for _, v := range []*message.View{r.View(depth), r.Repackaged(depth)} {
				var b bytes.Buffer
				if err := v.Write(&b, message.LF); err != nil {
					t.Fatalf("depth %d: %v", depth, err)
				}
			}
		}
		strict, err := unwrap.Open(context.Background(), src, h, unwrap.Options{Keys: keys, Spool: spool.Settings{Dir: os.TempDir(), Memory: 1 << 20}, Strict: true})
		check(t, err)
		defer func() { check(t, strict.Close()) }()
		for i, l := range strict.Layers {
			if l.Good() && (i >= len(r.Layers) || !r.Layers[i].Good()) {
				t.Fatalf("layer %d is good with compat strict alone", i)
			}
		}
		for _, l := range r.Layers {
			if l.Good() && (len(l.Signers) == 0 || l.Type != unwrap.Signed || strings.HasPrefix(l.Part, "0")) {
				t.Fatalf("%+v is good", l)
			}
		}
	})
}
