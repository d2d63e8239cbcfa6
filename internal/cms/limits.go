package cms

// Limits on everything that is not content. An object past a limit is ErrSyntax: nobody makes such mail by accident.
const (
	maxDepth = 32 // nested elements, pieces of a constructed OCTET STRING included (THREATS A37)

	maxRewrite = 1 << 16 // elements of one object that is not DER and is rewritten to it

	maxAlgorithm        = 4 << 10  // octets of one AlgorithmIdentifier or OBJECT IDENTIFIER
	maxDigestAlgorithms = 64       // elements of digestAlgorithms
	maxCertificates     = 256      // certificates in an object
	keptCertificates    = 32       // the first ones, kept
	maxCertificate      = 64 << 10 // octets of a certificate that is kept
	maxExtensions       = 256      // extensions that are searched for a key identifier
	maxRevocation       = 1 << 20  // octets of crls that are kept; more are left out
	maxSignerInfos      = 32       // elements of signerInfos
	maxSigners          = 8 << 20  // octets of all of them; room for large unsigned attributes (THREATS A22)
	maxAttributes       = 256      // signed attributes of one signer
	maxCapabilities     = 128      // in smimeCapabilities
	maxLabels           = 64       // in equivalentLabels
	maxGeneralNames     = 256      // in one GeneralNames, or sets of them in a receiptList
	maxAuthAttrs        = 64 << 10 // octets of authenticated attributes
	maxRecipientInfos   = 10000    // recipients in recipientInfos
	maxRecipients       = 8 << 20  // octets of all of them
	maxSerial           = 128      // octets of a serial number

	minTag = 12         // octets of the tag of AES-GCM, RFC 5084 3.2
	maxGCM = 1<<36 - 32 // octets of its ciphertext, NIST SP 800-38D 5.2.1.1

	maxExpansion   = 10      // octets of content for each octet of its compressed form (THREATS A40)
	expansionSlack = 1 << 20 // that may come before the octets that make up for them

	minModulus = 1024 // bits of an RSA modulus that is used at all; policy asks for more
	maxModulus = 8192
)
