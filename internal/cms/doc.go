// Package cms reads the Cryptographic Message Syntax of RFC 5652, SignedData and EnvelopedData, and the
// AuthEnvelopedData of RFC 5083, in BER or DER, from a stream, in memory that does not grow with the content. It says
// what an object holds, whether a key signed it, and what comes out of it under a key.
//
// It never says who a key belongs to, never parses content, never writes CMS except to take a signature off its
// content, never touches the network, and never recurses on input. Every count and size outside the content has a
// limit (see limits.go).
package cms
