package testpki

import "errors"

// errBER says that something is no BER, or not what openssl writes.
var errBER = errors.New("unexpected BER structure")

// A node is one element of a BER object: der[start:end] with header, der[body:end] without. For an indefinite length
// the end-of-contents octets are not part of it.
type node struct {
	tag              byte
	start, body, end int
	children         []*node
}

// maxDepth is more than a CMS object of openssl has.
const maxDepth = 24

// parse reads one element at offset at and returns it with the offset behind it. Only what openssl writes is known:
// tags of one octet, lengths of up to four.
func parse(b []byte, at, limit, depth int) (*node, int, error) {
	if depth > maxDepth || at+2 > limit {
		return nil, 0, errBER
	}
	n := &node{tag: b[at], start: at}
	length, body, err := parseLength(b, at+1, limit)
	if err != nil {
		return nil, 0, err
	}
	n.body, n.end = body, body+length
	if length >= 0 && n.tag&0x20 == 0 {
		return n, n.end, nil
	}
	if length < 0 {
		return n.parseIndefinite(b, limit, depth)
	}
	for next := n.body; next < n.end; {
		var child *node
		if child, next, err = parse(b, next, n.end, depth+1); err != nil {
			return nil, 0, err
		}
		n.children = append(n.children, child)
	}
	return n, n.end, nil
}

func (n *node) parseIndefinite(b []byte, limit, depth int) (*node, int, error) {
	for next := n.body; ; {
		if next+2 <= limit && b[next] == 0 && b[next+1] == 0 {
			n.end = next
			return n, next + 2, nil
		}
		child, after, err := parse(b, next, limit, depth+1)
		if err != nil {
			return nil, 0, err
		}
		n.children, next = append(n.children, child), after
	}
}

// parseLength returns the length, -1 for indefinite, and the offset of the first content octet.
func parseLength(b []byte, at, limit int) (length, body int, err error) {
	first := int(b[at])
	switch {
	case first < 0x80:
		length, body = first, at+1
	case first == 0x80:
		return -1, at + 1, nil
	case first > 0x84 || at+1+first-0x80 > limit:
		return 0, 0, errBER
	default:
		body = at + 1 + first - 0x80
		for _, o := range b[at+1 : body] {
			length = length<<8 | int(o)
		}
	}
	if length > limit-body {
		return 0, 0, errBER
	}
	return length, body, nil
}

// child returns the child at a path of indexes; a negative index counts from the end.
func (n *node) child(path ...int) (*node, error) {
	for _, i := range path {
		if i < 0 {
			i += len(n.children)
		}
		if i < 0 || i >= len(n.children) {
			return nil, errBER
		}
		n = n.children[i]
	}
	return n, nil
}

// octets returns the offsets of the content octets of a string, primitive or in pieces.
func (n *node) octets() []int {
	var out []int
	if len(n.children) == 0 {
		for i := n.body; i < n.end; i++ {
			out = append(out, i)
		}
	}
	for _, c := range n.children {
		out = append(out, c.octets()...)
	}
	return out
}
