package cms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"paperknife/test/cputime"
)

// cheap runs f and fails the test when it took long or much memory.
func cheap(t *testing.T, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cputime.Used(t)
	f()
	cputime.Limit(t, start, time.Second)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("allocated %d octets", n)
	}
}

// cheapMemory fails the test when f allocates more than a few buffers.
func cheapMemory(t *testing.T, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("allocated %d octets", n)
	}
}

// everything reads an object as each thing it can be, to the end. It gives the errors.
func everything(object []byte) []error {
	var errs []error
	for _, read := range []func(*Reader) error{
		func(r *Reader) error {
			s, err := r.SignedData()
			if err != nil {
				return err
			}
			return s.Finish()
		},
		func(r *Reader) error {
			e, err := r.EnvelopedData()
			if err != nil {
				return err
			}
			return e.Decrypt(make([]byte, e.KeySize), io.Discard)
		},
	} {
		errs = append(errs, read(NewReader(bytes.NewReader(object))))
	}
	return errs
}

// THREATS A37, A38, A39 and the bombs of depth and length: an error, soon, in little memory.
func TestA37Bombs(t *testing.T) {
	prefix := func(oid []byte) []byte { // an object up to its version and first SET
		return append(append([]byte{0x30, 0x80}, oid...), 0xa0, 0x80, 0x30, 0x80, 2, 1, 1)
	}
	signed, enveloped := prefix(marshalOID(OIDSignedData)), prefix(marshalOID(OIDEnvelopedData))
	inContent := append(append(bytes.Clone(signed), 0x31, 0, 0x30, 0x80), marshalOID(OIDData)...)
	afterContent := append(bytes.Clone(inContent), 0, 0)
	inCiphertext := join(enveloped, []byte{0x31, 0, 0x30, 0x80}, marshalOID(OIDData), algorithm(oidAES128, octetString(make([]byte, 16))))
	nested := func(levels int) []byte { // 30 02 30 LL: each child reaches past its parent
		var b []byte
		for i := range levels {
			b = append(b, 0x30, 2, 0x30, byte(4*(levels-i)))
		}
		return b
	}
	for name, bomb := range map[string][]byte{
		"depth":                    bytes.Repeat([]byte{0x30, 0x80}, 4<<20),
		"depth 24 80":              bytes.Repeat([]byte{0x24, 0x80}, 4<<20),
		"depth in digests":         join(signed, bytes.Repeat([]byte{0x31, 0x80}, 4<<20)),
		"depth in an algorithm":    join(signed, []byte{0x31, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 4<<20)),
		"depth in eContent":        join(inContent, []byte{0xa0, 0x80}, bytes.Repeat([]byte{0x24, 0x80}, 4<<20)),
		"depth in certificates":    join(afterContent, []byte{0xa0, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 4<<20)),
		"depth in crls":            join(afterContent, []byte{0xa1, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 4<<20)),
		"depth in signerInfos":     join(afterContent, []byte{0x31, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 4<<20)),
		"depth in recipientInfos":  join(enveloped, []byte{0x31, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 4<<20)),
		"depth in originatorInfo":  join(enveloped, bytes.Repeat([]byte{0xa0, 0x80}, 4<<20)),
		"depth in ciphertext":      join(inCiphertext, bytes.Repeat([]byte{0xa0, 0x80}, 4<<20)),
		"overlap 84":               nested(21),
		"overlap 92":               nested(23),
		"overlap 124":              nested(31),
		"overlap in signerInfos":   join(afterContent, []byte{0x31, 0x80}, nested(31)),
		"overlap in digests":       join(signed, []byte{0x31, 0x80}, nested(31)),
		"length 84 FF FF FF FF":    {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"length in digests":        join(signed, []byte{0x31, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30, 0x84, 0xff, 0xff, 0xff, 0xf0}),
		"length of an algorithm":   join(signed, []byte{0x31, 0x80, 0x30, 0x84, 0xff, 0xff, 0xff, 0xff}),
		"length of eContent":       join(inContent, []byte{0xa0, 0x80, 4, 0x84, 0xff, 0xff, 0xff, 0xff}),
		"length of a certificate":  join(afterContent, []byte{0xa0, 0x80, 0x30, 0x84, 0xff, 0xff, 0xff, 0xff}),
		"length of a CRL":          join(afterContent, []byte{0xa1, 0x80, 0x30, 0x84, 0xff, 0xff, 0xff, 0xff}),
		"length of a signerInfo":   join(afterContent, []byte{0x31, 0x80, 0x30, 0x83, 0x7f, 0xff, 0xf0}),
		"length of a recipient":    join(enveloped, []byte{0x31, 0x80, 0x30, 0x83, 0x7f, 0xff, 0xf0}),
		"length of ciphertext":     join(inCiphertext, []byte{0x80, 0x84, 0xff, 0xff, 0xff, 0xff}),
		"length of 9 octets":       {0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"length of 8 octets":       {0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"length of 127 octets":     bytes.Repeat([]byte{0x30, 0xff}, 100),
		"long tag":                 bytes.Repeat([]byte{0x3f, 0xff, 0xff, 0xff, 0xff, 0xff}, 1<<16),
		"fuzz 30 82 06":            {0x30, 0x82, 0x06},
		"fuzz 5f 4d":               {0x5f, 0x4d},
		"fuzz 1f 80":               {0x1f, 0x80},
		"empty":                    {},
		"only ends":                make([]byte, 1<<20),
		"many digests":             join(signed, []byte{0x31, 0x80}, bytes.Repeat(algorithm(OIDData), 1<<20/13)),
		"many certificates":        join(afterContent, []byte{0xa0, 0x80}, bytes.Repeat([]byte{0x30, 0}, 1<<20)),
		"many CRLs":                join(afterContent, []byte{0xa1, 0x80}, bytes.Repeat([]byte{0x30, 0}, 4<<20)),
		"many signerInfos":         join(afterContent, []byte{0x31, 0x80}, bytes.Repeat([]byte{0x30, 0}, 1<<20)),
		"many recipients":          join(enveloped, []byte{0x31, 0x80}, bytes.Repeat([]byte{0x30, 0}, 1<<20)),
		"tiny elements in BER":     join(afterContent, []byte{0x31, 0x80, 0x30, 0x80}, bytes.Repeat([]byte{5, 0}, 1<<20), make([]byte, 10)),
		"tiny elements, recipient": join(enveloped, []byte{0x31, 0x80, 0x30, 0x80}, bytes.Repeat([]byte{5, 0}, 1<<20), make([]byte, 10)),
	} {
		t.Run(name, func(t *testing.T) {
			cheap(t, func() {
				for _, err := range everything(bomb) {
					if !errors.Is(err, ErrSyntax) {
						t.Errorf("%v, want ErrSyntax", err)
					}
				}
			})
		})
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// THREATS A38: a million pieces of one octet, and empty ones between, are the content they are.
func TestA38Pieces(t *testing.T) {
	const n = 1 << 20
	content := pattern(n)
	pieces := make([]byte, 0, 5*n)
	for i, c := range content {
		if i%2 == 0 {
			pieces = append(pieces, 4, 0)
		}
		pieces = append(pieces, 4, 1, c)
	}
	start := cputime.Used(t)
	for _, read := range []func(*SignedData) ([]byte, error){
		func(s *SignedData) ([]byte, error) { return io.ReadAll(s) },
		func(*SignedData) ([]byte, error) { return content, nil }, // Finish hashes
	} {
		object := signing{content: content, eContent: endless(tagOctetString|formConstructed, pieces)}.der(t)
		s, err := NewReader(bytes.NewReader(object)).SignedData()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(s); err != nil || !bytes.Equal(got, content) {
			t.Fatal("content differs", err)
		}
		if err := s.Finish(); err != nil {
			t.Fatal(err)
		}
		si := s.SignerInfos[0]
		if err := si.Verify(si.Certificate(s.Certificates), s.Digest(si.Hash), s.EContentType); err != nil {
			t.Error(err)
		}
	}
	cputime.Limit(t, start, 2*time.Second)
}

// X.690 8.7.3: a string may be made of pieces that are made of pieces, empty ones among them, in any length form.
func TestConstructedOctetStrings(t *testing.T) {
	for name, test := range map[string]struct {
		hex  string
		want string
		err  error
	}{
		"primitive":             {"0403616263", "abc", nil},
		"empty":                 {"0400", "", nil},
		"long length":           {"04840000000161", "a", nil},
		"definite":              {"2406 0401 61 0401 62", "ab", nil},
		"definite empty":        {"2400", "", nil},
		"indefinite":            {"2480 040161 040162 0000", "ab", nil},
		"indefinite empty":      {"2480 0000", "", nil},
		"nested":                {"2480 2405 2403 0401 61 2480 2480 040162 0000 0000 0400 040163 0000", "abc", nil},
		"implicit":              {"a080 040161 0000", "a", nil},
		"other piece":           {"2480 0c0161 0000", "", ErrSyntax},
		"context piece":         {"2480 800161 0000", "", ErrSyntax},
		"past the end":          {"2403 0402 61 62", "", ErrSyntax},
		"ends past the end":     {"2402 2480 0000", "", ErrSyntax},
		"half an end":           {"2480 0001", "", ErrSyntax},
		"no end":                {"2480 040161", "", ErrSyntax},
		"primitive, indefinite": {"0480 0000", "", ErrSyntax},
		"end in definite":       {"2405 040161 0000", "", ErrSyntax},
		"too deep":              {strings.Repeat("2480", maxDepth+1) + strings.Repeat("0000", maxDepth+1), "", ErrSyntax},
		"just deep enough":      {strings.Repeat("2480", maxDepth) + "040161" + strings.Repeat("0000", maxDepth), "a", nil},
	} {
		t.Run(name, func(t *testing.T) {
			raw := unhex(t, test.hex)
			for how, reader := range readers {
				b := &ber{src: reader(bytes.NewReader(raw))}
				got, err := readOctets(b)
				if !errors.Is(err, test.err) || err == nil && string(got) != test.want {
					t.Errorf("%s: %q, %v", how, got, err)
				}
			}
			if raw[0] != 0xa0 && test.err == nil && !strings.Contains(name, "deep") {
				der, err := toDER(raw)
				if want := octetString([]byte(test.want)); err != nil || !bytes.Equal(der, want) {
					t.Errorf("toDER: %x, %v, want %x", der, err, want)
				}
			}
		})
	}
}

func readOctets(b *ber) ([]byte, error) {
	e, err := b.next()
	if err != nil {
		return nil, err
	}
	o, err := newOctets(b, e)
	if err != nil {
		return nil, err
	}
	var out []byte
	p := make([]byte, 2)
	for {
		n, err := o.fill(p)
		out = append(out, p[:n]...)
		if err == io.EOF {
			return out, b.blankToEOF()
		}
		if err != nil {
			return nil, err
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestToDER(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"as it is":      {"3003020101", "3003020101"},
		"indefinite":    {"3080 020101 0000", "3003020101"},
		"in definite":   {"3007 3180 020101 0000", "3005 3103 020101"},
		"long length":   {"308103 020101", "3003020101"},
		"length 128":    {"3080 0481 80" + strings.Repeat("61", 128) + "0000", "308183 0481 80" + strings.Repeat("61", 128)},
		"octet string":  {"3080 2480 040161 2403 040162 0000 0000", "3004 0402 6162"},
		"high tag":      {"3080 7f8101 80 1f1f 0161 0000 0000", "3008 7f8101 04 1f1f 0161"},
		"junk inside":   {"3080 0000 00", ""},
		"octets after":  {"300000", ""},
		"cut":           {"3080 0201", ""},
		"bad high tag":  {"3003 1f8001", ""},
		"past the end":  {"3003 0402 61", ""},
		"octets piece":  {"3080 2480 0c0161 0000 0000", ""},
		"nothing":       {"", ""},
		"primitive end": {"0000", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := unhex(t, test.in)
			before := bytes.Clone(in)
			got, err := toDER(in)
			if want := unhex(t, test.want); !bytes.Equal(got, want) && test.want != "" || (err != nil) != (test.want == "") {
				t.Errorf("%x, %v, want %x", got, err, want)
			}
			if !bytes.Equal(in, before) {
				t.Error("the input was changed")
			}
		})
	}
}

func TestAppendLength(t *testing.T) {
	for n, want := range map[int64]string{0: "00", 127: "7f", 128: "8180", 255: "81ff", 256: "820100", 65535: "82ffff",
		65536: "83010000", 1<<32 - 1: "84ffffffff", math.MaxInt64: "887fffffffffffffff"} {
		if got := hex.EncodeToString(appendLength(nil, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// Faults of the source are its own, not the object's.
func TestSourceErrors(t *testing.T) {
	fault := errors.New("disk")
	for _, file := range []string{"signed-stream.der", "enveloped-stream.der"} {
		object := testdata(t, file)
		for n := range object {
			for want, src := range map[error]io.Reader{
				fault:     io.MultiReader(bytes.NewReader(object[:n]), iotest.ErrReader(fault)),
				ErrSyntax: bytes.NewReader(object[:n]),
			} {
				var err error
				if strings.HasPrefix(file, "signed") {
					_, err = verify(src, nil)
				} else {
					_, _, err = decrypt(src, nil, nil)
				}
				if !errors.Is(err, want) {
					t.Fatalf("%s cut at %d: %v, want %v", file, n, err, want)
				}
			}
		}
	}
	if _, err := NewReader(stuck{}).ContentType(); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// Octets behind the object: those of transports only.
func TestTrailer(t *testing.T) {
	for _, file := range []string{"signed-stream.der", "signed-rsa.der", "enveloped-aes128.der"} {
		for trailer, want := range map[string]error{"": nil, "\r\n": nil, "\x00\x00": nil, " \t\n": nil, "x": ErrSyntax, "\r\n0": ErrSyntax} {
			src := bytes.NewReader(append(testdata(t, file), trailer...))
			var err error
			if strings.HasPrefix(file, "signed") {
				_, err = verify(src, nil)
			} else {
				_, _, err = decrypt(src, cert(t, "rsa"), decrypter(t, "rsa"))
			}
			if !errors.Is(err, want) {
				t.Errorf("%s with %q: %v, want %v", file, trailer, err, want)
			}
		}
	}
}
