package filter

import (
	"bufio"
	"io"
)

// An output is standard output with a buffer, and knows how much of it is out.
type output struct {
	*bufio.Writer
	w       io.Writer
	written int64
}

func newOutput(w io.Writer) *output {
	o := &output{w: w}
	o.Writer = bufio.NewWriterSize(outside{o}, 64<<10)
	return o
}

func (o *output) empty() bool { return o.written == 0 && o.Buffered() == 0 }

type outside struct{ o *output }

// Write counts what has left.
func (w outside) Write(p []byte) (int, error) {
	n, err := w.o.w.Write(p)
	w.o.written += int64(n)
	return n, err
}
