// Package seal is the sending side of the systems that paperknife opens: it signs as a person or as a domain, makes
// empty signature layers, encrypts, and builds the message around the result. A small certificate maker gives a
// test, the demo or a new installation something to seal with.
//
// An entity is a MIME entity: header fields, an empty line, a body. Every function takes an entity and gives an
// entity back, so layers nest in the order of the calls; Split and Message go from a message to its entity and back.
// Line ends become CRLF before anything is signed or encrypted (RFC 8551 section 3.1.1).
//
// It never verifies what it wraps: whoever seals as a domain has found the inner signatures valid before (RFC 3183
// section 3.2). It never decrypts, never looks up a certificate, and reads no file.
package seal
