package tool

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paperknife/internal/config"
	"paperknife/internal/trust"
	"paperknife/seal"
)

const sealArguments = "[-config FILE] [-sign-as-person CERT,KEY] [-sign-as-domain[=CERT,KEY]] [-encrypt-to CERT]... [-mla CERT,KEY] < MESSAGE"

// maxPlain bounds the message on standard input: it is held in memory.
const maxPlain = 256 << 20

// ciphers by the names that explain prints.
var ciphers = map[string]seal.Cipher{
	"aes128-cbc": seal.AES128CBC, "aes192-cbc": seal.AES192CBC, "aes256-cbc": seal.AES256CBC,
	"aes128-gcm": seal.AES128GCM, "aes192-gcm": seal.AES192GCM, "aes256-gcm": seal.AES256GCM,
}

var hashes = map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

// A sealing is what the flags of `paperknife seal` ask for. The layers are put on in the order of the fields, from the
// inside out, wherever the flags stand.
type sealing struct {
	config     string
	person     pairFlag
	empty      bool
	domain     pairFlag
	recipients listFlag
	list       pairFlag
	detached   bool
	digest     string
	cipher     string
	oaep       string
}

func runSeal(ctx context.Context, args []string, s Streams) error {
	flags := newFlags("seal", sealArguments, s)
	var o sealing
	o.define(flags)
	if err := parseFlags(flags, args, 0, 0); err != nil {
		return err
	}
	sealed, err := o.seal(ctx, s.In)
	if err != nil {
		return err
	}
	_, err = s.Out.Write(sealed)
	return err
}

func (o *sealing) define(flags *flag.FlagSet) {
	flags.StringVar(&o.config, "config", "", "configuration `file`: its anchors verify signatures that are there already, and the domain's\nkey signer.key with signer.pem is looked for beside it")
	flags.Var(&o.person, "sign-as-person", "sign as the person who has this certificate and key (`CERT,KEY`, or one file with both)")
	flags.BoolVar(&o.empty, "empty", false, "put an empty signature around the message; -sign-as-domain does it by itself where no signature is there")
	o.domain.optional = true
	flags.Var(&o.domain, "sign-as-domain", "sign as the domain, with signer.pem and signer.key beside the configuration or with `=CERT,KEY`")
	flags.Var(&o.recipients, "encrypt-to", "encrypt to this `CERT`; several in one envelope with several flags")
	flags.Var(&o.list, "mla", "sign on the outside as the mailing list agent who has this certificate and key (`CERT,KEY`)")
	flags.BoolVar(&o.detached, "detached", false, "make signatures multipart/signed instead of opaque")
	flags.StringVar(&o.digest, "digest", "sha256", "`hash` of signatures: sha256, sha384, sha512")
	flags.StringVar(&o.cipher, "cipher", "aes256-cbc", "content `cipher`: "+strings.Join(slices.Sorted(maps.Keys(ciphers)), ", "))
	flags.StringVar(&o.oaep, "oaep", "", "encrypt the content key with RSAES-OAEP and this `hash`: sha1, sha256, sha384, sha512; without it PKCS #1 v1.5")
}

// seal returns the sealed message.
func (o *sealing) seal(ctx context.Context, in io.Reader) ([]byte, error) {
	if !o.person.set && !o.empty && !o.domain.set && len(o.recipients) == 0 && !o.list.set {
		return nil, usagef("say what is to be done: sign, encrypt, or both")
	}
	keys, err := o.load()
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(in, maxPlain+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the message: %w", err)
	case len(plain) > maxPlain:
		return nil, errMessage{fmt.Errorf("the message is longer than %v", config.Size(maxPlain))}
	}
	header, entity := seal.Split(plain)
	layered := false // a signature layer is there, or the originator's is made now
	if keys.domain != nil {
		if layered, err = o.mayWrap(ctx, plain, keys); err != nil {
			return nil, err
		}
	}
	entity, err = keys.wrap(entity, o, layered)
	if err != nil {
		return nil, err
	}
	return seal.Message(header, entity), nil
}

// sealKeys are what the layers are made with; a layer without its key is not made.
type sealKeys struct {
	person, domain, list *seal.Signer
	recipients           []*x509.Certificate
	sign                 seal.SignOptions
	encrypt              seal.EncryptOptions
}

// load reads every key and certificate, and says all that is wrong with them.
func (o *sealing) load() (*sealKeys, error) {
	k := &sealKeys{}
	var known bool
	if k.sign.Hash, known = hashes[o.digest]; !known || k.sign.Hash == crypto.SHA1 {
		return nil, usagef("-digest %q is not sha256, sha384 or sha512", o.digest)
	}
	k.sign.Detached = o.detached
	if k.encrypt.Cipher, known = ciphers[o.cipher]; !known {
		return nil, usagef("-cipher %q is not one of %s", o.cipher, strings.Join(slices.Sorted(maps.Keys(ciphers)), ", "))
	}
	if o.oaep != "" {
		if k.encrypt.OAEP, known = hashes[o.oaep]; !known {
			return nil, usagef("-oaep %q is not sha1, sha256, sha384 or sha512", o.oaep)
		}
	}
	if o.domain.set && o.domain.cert == "" {
		if o.config == "" {
			return nil, usagef("-sign-as-domain needs =CERT,KEY, or -config with %s and %s beside it", fileSigner, fileSignerKey)
		}
		dir := filepath.Dir(o.config)
		o.domain.cert, o.domain.key = filepath.Join(dir, fileSigner), filepath.Join(dir, fileSignerKey)
	}
	var errs [4]error
	k.person, errs[0] = o.person.load("-sign-as-person")
	k.domain, errs[1] = o.domain.load("-sign-as-domain")
	k.list, errs[2] = o.list.load("-mla")
	for _, file := range o.recipients {
		c, err := trust.LoadAnchors(file)
		if err != nil {
			errs[3] = errors.Join(errs[3], fmt.Errorf("-encrypt-to: %w", err))
			continue
		}
		k.recipients = append(k.recipients, c[0]) // a chain may stand after it
	}
	return k, errors.Join(errs[:]...)
}

// wrap puts the layers on. layered says that the entity is a signature layer already.
func (k *sealKeys) wrap(entity []byte, o *sealing, layered bool) (_ []byte, err error) {
	if k.person != nil {
		if entity, err = seal.SignAsPerson(entity, *k.person, k.sign); err != nil {
			return nil, err
		}
	}
	if o.empty || k.domain != nil && k.person == nil && !layered {
		entity = seal.EmptySignature(entity)
	}
	if k.domain != nil {
		if entity, err = seal.SignAsDomain(entity, *k.domain, k.sign); err != nil {
			return nil, err
		}
	}
	if len(k.recipients) > 0 {
		if entity, err = seal.EncryptTo(entity, k.recipients, k.encrypt); err != nil {
			return nil, err
		}
	}
	if k.list != nil {
		return seal.SignAsMailingList(entity, *k.list, k.sign)
	}
	return entity, nil
}

// pairFlag is "CERT,KEY", or one file that holds both.
type pairFlag struct {
	set       bool
	optional  bool // may stand without a value
	cert, key string
}

func (p *pairFlag) String() string   { return "" }
func (p *pairFlag) IsBoolFlag() bool { return p.optional }

func (p *pairFlag) Set(value string) error {
	p.set = true
	if p.optional && value == "true" {
		return nil
	}
	if p.optional && value == "false" {
		p.set = false
		return nil
	}
	p.cert, p.key = splitPair(value)
	if p.cert == "" || p.key == "" {
		return errors.New("write CERT,KEY")
	}
	return nil
}

// splitPair splits at the comma on both sides of which there is a file: paths may have commas of their own.
func splitPair(value string) (certificate, key string) {
	if isFile(value) {
		return value, value
	}
	for i, c := range value {
		if c == ',' && isFile(value[:i]) && isFile(value[i+1:]) {
			return value[:i], value[i+1:]
		}
	}
	certificate, key, two := strings.Cut(value, ",")
	if !two {
		key = certificate
	}
	return certificate, key
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func (p *pairFlag) load(flag string) (*seal.Signer, error) {
	if !p.set {
		return nil, nil
	}
	pair, err := readPair(p.cert, p.key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return &pair, nil
}

func readPair(certificate, key string) (seal.KeyPair, error) {
	certificates, err := readSmall(certificate)
	if err != nil {
		return seal.KeyPair{}, err
	}
	private, err := readSmall(key)
	if err != nil {
		return seal.KeyPair{}, err
	}
	pair, err := seal.ParseKeyPair(certificates, private)
	if err != nil {
		return pair, fmt.Errorf("%s and %s: %w", certificate, key, err)
	}
	return pair, nil
}

// listFlag collects the values of a flag that may stand several times.
type listFlag []string

func (l *listFlag) String() string { return "" }

func (l *listFlag) Set(value string) error {
	if value == "" {
		return errors.New("the file name is empty")
	}
	*l = append(*l, value)
	return nil
}
