package agent

import (
	"context"
	"log/slog"
	"strings"

	"paperknife/internal/policy"
	"paperknife/internal/status"
)

// logResults writes one line per message and recipient: who, what was done and why. Never a key, a plaintext or a
// header field of the message.
func (a *Agent) logResults(e envelope, size int64, decisions []policy.Decision, results []status.Result) {
	for i, r := range e.recipients {
		_, enhanced, text := results[i].SMTP()
		line := append([]any{}, e.attributes...)
		line = append(line, "to", r.Address, "dsn", enhanced.String(), "size", size)
		if d := decisions[i]; d.Action != "" {
			line = append(line, "action", string(d.Action), "view", string(d.View), "results", summary(d.Results))
			if d.Reason != "" {
				line = append(line, "reason", string(d.Reason))
			}
		}
		level, message := slog.LevelInfo, "delivered"
		switch {
		case results[i].Temporary():
			level, message = slog.LevelError, "deferred"
		case !results[i].Delivered():
			level, message = slog.LevelWarn, "refused"
		}
		if !results[i].Delivered() {
			line = append(line, "text", text)
		}
		if results[i].Err != nil {
			line = append(line, "err", results[i].Err.Error())
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
