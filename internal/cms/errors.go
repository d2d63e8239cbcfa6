package cms

import "errors"

// The errors of this package. A fault of the reader or writer it was given passes through as it is.
var (
	// ErrSyntax: the object is not what RFC 5652 says, is cut short, or is past a limit.
	ErrSyntax = errors.New("cms: malformed object")
	// ErrAlgorithm: an algorithm, or its parameters, that this package does not know or refuses.
	ErrAlgorithm = errors.New("cms: unsupported algorithm")
	// ErrAttributes: signed attributes that are missing, present twice, have several values, or do not fit the object.
	ErrAttributes = errors.New("cms: signed attributes do not fit")
	// ErrDigest: the content is not the one that was signed.
	ErrDigest = errors.New("cms: message digest differs")
	// ErrSignature: the signature value is not by the key over the attributes or the content.
	ErrSignature = errors.New("cms: signature does not verify")
	// ErrCertificate: the certificate cannot be read, or its key cannot be used.
	ErrCertificate = errors.New("cms: unusable certificate")
	// ErrDecrypt: the one error for every fault that lies inside a ciphertext (THREATS A10, A12).
	ErrDecrypt = errors.New("cms: content does not decrypt")
	// ErrReread: what was read once did not come the same a second time; not the object's fault.
	ErrReread = errors.New("cms: object cannot be read a second time")
)
