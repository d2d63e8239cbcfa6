package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/message"
	"paperknife/internal/spool"
)

const explainArguments = "-config FILE [-json] [-at TIME] [-sender ADDRESS] [-recipient ADDRESS] < MESSAGE"

// ExplainOptions are the flags of `paperknife explain`.
type ExplainOptions struct {
	JSON      bool
	At        time.Time // zero: now
	Recipient string    // "": one that is not known
}

func runExplain(ctx context.Context, args []string, s Streams) error {
	flags := newFlags("explain", explainArguments, s)
	var o ExplainOptions
	file := flags.String("config", defaultConfig, "configuration `file`")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object")
	at := flags.String("at", "", "judge certificates as of this `time`, RFC 3339")
	flags.StringVar(&o.Recipient, "recipient", "", "decide for this `address`")
	flags.String("sender", "", "envelope sender `address`; it decides nothing yet")
	if err := parseFlags(flags, args, 0, 0); err != nil {
		return err
	}
	if *at != "" {
		var err error
		if o.At, err = time.Parse(time.RFC3339, *at); err != nil {
			return usagef("-at: %v", err)
		}
	}
	c, err := config.Load(*file)
	if err != nil {
		return err
	}
	return Explain(ctx, c, o, s.In, s.Out)
}

// Explain reads a message and writes what every layer proved and what would be done, without delivering. An error means
// that the message could not be read, or is a fault of ours.
func Explain(ctx context.Context, c *config.Config, o ExplainOptions, in io.Reader, out io.Writer) error {
	a, err := agent.New(c, agent.Options{})
	if err != nil {
		return err
	}
	received, err := spooled(c, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the message: %w", err)
	}
	defer received.Close()
	e, done, err := a.Explain(ctx, received, o.Recipient, o.At)
	if err != nil {
		return err
	}
	defer done()
	report, err := newReport(e)
	if err != nil {
		return err
	}
	report.Recipient = o.Recipient
	if report.Parts, err = innerParts(c, e); err != nil {
		return err
	}
	if o.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.tree(out)
}

// spooled collects what write writes.
func spooled(c *config.Config, write func(io.Writer) error) (*spool.Spool, error) {
	w := spool.New(agent.SpoolSettings(c))
	if err := write(w); err != nil {
		w.Discard()
		return nil, err
	}
	return w.Finish()
}

// innerParts looks for S/MIME in what is left when all layers are off.
func innerParts(c *config.Config, e *agent.Explanation) ([]ReportPart, error) {
	inner, err := spooled(c, func(w io.Writer) error { return e.Innermost.Write(w, message.AsGiven) })
	if err != nil {
		return nil, fmt.Errorf("reading the innermost layer: %w", err)
	}
	defer inner.Close()
	return smimeParts(inner)
}
