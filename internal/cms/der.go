package cms

import (
	"bytes"
	"slices"
)

// toDER returns one element with definite, minimal lengths throughout and each OCTET STRING in one piece. Octets
// that have this form already, as nearly all have, are returned as they are. Order inside a SET is kept.
func toDER(raw []byte) ([]byte, error) {
	n, der, err := scan(raw)
	if err != nil || der {
		return raw, err
	}
	if n > maxRewrite {
		return nil, syntax("more than %d elements in BER", maxRewrite)
	}
	return rewrite(raw, n)
}

// memory is a ber over octets at hand.
func memory(p []byte) ber { return ber{buf: p, w: len(p), err: errTruncated} }

// scan counts the elements inside raw, which must be exactly one element, and reports whether toDER can keep it.
func scan(raw []byte) (count int, der bool, err error) {
	b := memory(raw)
	der = true
	for first := true; first || b.depth > 0; first = false {
		e, err := b.next()
		if err != nil {
			return 0, false, err
		}
		count++
		der = der && minimal(e) && e.tag != tagOctetString|formConstructed
		if !e.constructed() {
			if err := b.skip(e.length); err != nil {
				return 0, false, err
			}
		} else if err := b.enter(e); err != nil {
			return 0, false, err
		}
		if _, err := b.closeEnded(nil, 0); err != nil {
			return 0, false, err
		}
	}
	if b.r != b.w {
		return 0, false, syntax("octets after an element")
	}
	return count, der, nil
}

// minimal reports whether the length of e is written as DER writes it.
func minimal(e element) bool {
	return e.length != indefinite && len(e.header) == tagLength(e.header)+lengthLength(e.length)
}

// tagLength is the number of identifier octets in a header.
func tagLength(head []byte) int {
	n := 1
	if head[0]&highTag == highTag {
		for head[n] >= 0x80 {
			n++
		}
		n++
	}
	return n
}

// lengthLength is the number of octets DER needs for a length.
func lengthLength(length int64) int {
	n := 1
	if length > 0x7f {
		for ; length > 0; length >>= 8 {
			n++
		}
	}
	return n
}

func appendLength(dst []byte, length int64) []byte {
	n := lengthLength(length)
	if n == 1 {
		return append(dst, byte(length))
	}
	dst = append(dst, 0x80|byte(n-1))
	for i := n - 2; i >= 0; i-- {
		dst = append(dst, byte(length>>(8*i)))
	}
	return dst
}

// appendElement appends an element with the content in parts.
func appendElement(dst []byte, tag byte, parts ...[]byte) []byte {
	var n int
	for _, p := range parts {
		n += len(p)
	}
	dst = appendLength(append(dst, tag), int64(n))
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// A node is an element of an object that is being rewritten. Nodes stand in the order of their headers.
type node struct {
	tag     []byte // identifier octets; none for a piece of an OCTET STRING, which is content alone
	octets  bool   // a constructed OCTET STRING, or a constructed piece of one
	content []byte // of a primitive element
	parent  int
	length  int64
}

// rewrite is toDER for octets that scan has passed.
func rewrite(raw []byte, count int) ([]byte, error) {
	nodes, err := tree(raw, count)
	if err != nil {
		return nil, err
	}
	for i := len(nodes) - 1; i > 0; i-- {
		n := &nodes[i]
		whole := n.length
		if len(n.tag) > 0 {
			whole += int64(len(n.tag) + lengthLength(n.length))
		}
		nodes[n.parent].length += whole
	}
	out := make([]byte, 0, len(raw))
	for _, n := range nodes {
		if len(n.tag) > 0 {
			out = appendLength(append(out, n.tag...), n.length)
		}
		out = append(out, n.content...)
	}
	return out, nil
}

// tree lists the elements of raw.
func tree(raw []byte, count int) ([]node, error) {
	b := memory(raw)
	nodes := make([]node, 0, count)
	var open [maxDepth]int // the node of each open container
	for {
		e, err := b.next()
		if err != nil {
			return nil, err
		}
		start := b.r - len(e.header)
		n := node{tag: raw[start : start+tagLength(e.header)], octets: e.tag == tagOctetString|formConstructed}
		if n.octets {
			n.tag = []byte{tagOctetString}
		}
		if b.depth > 0 {
			n.parent = open[b.depth-1]
			if nodes[n.parent].octets {
				if !e.is(tagOctetString) {
					return nil, syntax("tag %#02x inside an OCTET STRING", e.tag)
				}
				n.tag = nil
			}
		}
		if e.constructed() {
			if err := b.enter(e); err != nil {
				return nil, err
			}
			open[b.depth-1] = len(nodes)
		} else {
			n.content = raw[b.r : b.r+int(e.length)]
			n.length = e.length
			b.r += int(e.length)
		}
		nodes = append(nodes, n)
		if _, err := b.closeEnded(nil, 0); err != nil {
			return nil, err
		}
		if b.depth == 0 {
			return nodes, nil
		}
	}
}

// sortSet returns the content of a SET OF, the DER of its elements, in the order DER asks for (X.690 11.6).
func sortSet(elements [][]byte) []byte {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, bytes.Compare)
	return bytes.Join(sorted, nil)
}
