// Package verifyhdr reads and writes what header fields say about the authenticity of a message. So far it holds
// the grammar of Authentication-Results, RFC 8601, in both directions; each scheme that signs by a header field
// gets one file of its own.
//
// It finds facts and never decides: nothing here removes a field, reads a configuration or knows a recipient.
package verifyhdr
