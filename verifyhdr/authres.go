package verifyhdr

import (
	"errors"
	"fmt"
)

// AuthenticationResults is one Authentication-Results field, RFC 8601 section 2.2. No Results means "none".
type AuthenticationResults struct {
	AuthservID string
	Version    int // of the field's grammar; 0 and 1 both mean 1, the only one there is
	Results    []ResInfo
}

// A ResInfo is what one method found. Names and results are lower case after reading.
type ResInfo struct {
	Method     string
	Version    int // of the method; 0 and 1 both mean 1
	Result     string
	Comment    string // the first comment after the result, without its parentheses
	Remark     string // the second one
	Reason     string
	Properties []Property
}

// A Property is one ptype.property=value, {"header", "from", "example.com"}.
type Property struct{ Type, Name, Value string }

// fieldName is the name of the field as this package writes it.
const fieldName = "Authentication-Results"

// Limits of the reader. A field past one of them is not read at all.
const (
	maxFieldLen     = 64 << 10
	maxCommentDepth = 32
	maxVersionLen   = 9 // digits
)

var (
	// ErrFieldTooLong is returned for a field of more than 64 KiB.
	ErrFieldTooLong = errors.New("field too long")
	// ErrCommentTooDeep is returned for comments nested more than 32 deep.
	ErrCommentTooDeep = errors.New("comments nested too deep")
)

// A SyntaxError says where a field leaves the grammar. Offset counts octets of the unfolded field body.
type SyntaxError struct {
	Offset int
	What   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("authentication-results: %s at octet %d", e.What, e.Offset)
}
