package agent

import (
	"context"
	"log/slog"
	"strings"

	"paperknife/internal/policy"
)

// logResults writes one line per message and recipient: who, what was done and why. Never a key, a plaintext or a
// header field of the message.
func (a *Agent) logResults(p *passage) {
	for i, r := range p.recipients {
		result := p.results[i]
		_, enhanced, text := result.SMTP()
		line := append([]any{}, p.attributes...)
		line = append(line, "to", r.Address, "dsn", enhanced.String(), "size", p.received.Size())
		if d := p.decisions[i]; d.Action != "" {
			line = append(line, "action", string(d.Action), "view", string(d.View), "results", summary(d.Results))
			if d.Reason != "" {
				line = append(line, "reason", string(d.Reason))
			}
			if len(d.Compat) > 0 {
				line = append(line, "compat", strings.Join(d.Compat, ", "))
			}
		}
		level, message := slog.LevelInfo, "delivered"
		switch {
		case result.Temporary():
			level, message = slog.LevelError, "deferred"
		case !result.Delivered():
			level, message = slog.LevelWarn, "refused"
		}
		if !result.Delivered() {
			line = append(line, "text", text)
		}
		if result.Err != nil {
			line = append(line, "err", result.Err.Error())
		}
		a.log.Log(context.Background(), level, message, line...)
	}
}

// summary is "smime=pass x-domsec=policy".
func summary(results []policy.Verdict) string {
	words := make([]string, 0, len(results))
	for _, r := range results {
		words = append(words, r.Method+"="+r.Result)
	}
	return strings.Join(words, " ")
}
