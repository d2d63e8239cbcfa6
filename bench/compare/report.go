package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// notesMarker begins the part of the result file that people write.
const notesMarker = "## What costs most"

// A row is one ratio beside its target.
type row struct {
	work, ours, peer string
	ratio            ratio
	target           float64
	atMost           bool // the ratio is to be at most the target, else at least
}

func (r row) String() string {
	met, sign := r.ratio.median >= r.target, "≥"
	if r.atMost {
		met, sign = r.ratio.median <= r.target, "≤"
	}
	answer := "no"
	switch {
	case r.target == 0:
		answer, sign = "", ""
	case met:
		answer = "yes"
	}
	target := ""
	if r.target != 0 {
		target = fmt.Sprintf("%s %.4g", sign, r.target)
	}
	return fmt.Sprintf("| %s | %s | %s | %.2f | %.2f to %.2f | %s | %s |\n", r.work, r.ours, r.peer, r.ratio.median, r.ratio.least, r.ratio.most, target, answer)
}

type table struct {
	title, about string
	rows         []row
}

func (t table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", t.title)
	if t.about != "" {
		fmt.Fprintf(&b, "%s\n\n", t.about)
	}
	b.WriteString("| work | ours | peer | ratio | rounds | target | met |\n|---|---|---|---|---|---|---|\n")
	for _, r := range t.rows {
		b.WriteString(r.String())
	}
	b.WriteString("\n")
	return b.String()
}

// report prints the result, and writes it to a file if one is named.
func (b *bench) report(file string) error {
	var text strings.Builder
	b.heading(&text)
	for _, t := range []func() table{b.tableLimit, b.tableDovecot, b.tableCPU, b.tableSealed, b.tablePipeline, b.tableFilter, b.tableLarge, b.tableMemory, b.tableGrowth} {
		if t := t(); len(t.rows) > 0 {
			text.WriteString(t.String())
		}
	}
	if len(b.misses) > 0 {
		text.WriteString("## Not measured\n\n")
		for _, miss := range b.misses {
			fmt.Fprintf(&text, "* %s\n", miss)
		}
		text.WriteString("\n")
	}
	fmt.Print(text.String())
	if file == "" {
		return nil
	}
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if _, notes, ok := strings.Cut(string(old), notesMarker); ok {
		text.WriteString(notesMarker + notes)
	}
	return os.WriteFile(file, []byte(strings.TrimRight(text.String(), "\n")+"\n"), 0o644)
}

func (b *bench) heading(w *strings.Builder) {
	fmt.Fprintf(w, "# Side by side\n\nWritten by `make bench`; [bench/README.md](../bench/README.md) says how each figure is taken. A ratio is ours over the peer's,\n"+
		"taken in each round, and the median of the rounds; beside it the least and the greatest. Absolute figures drift by the minute on a\n"+
		"shared machine; ratios of one run count.\n\n")
	rows := [][2]string{
		{"date", b.started.UTC().Format("2006-01-02 15:04 UTC")},
		{"commit", commit()},
		{"machine", fmt.Sprintf("%s, %d processors, %s", cpuModel(), runtime.NumCPU(), output("uname", "-sr"))},
		{"file system", output("stat", "-f", "-c", "%T", b.site.dir)},
		{"versions", strings.Join([]string{runtime.Version(), output("openssl", "version"), "Dovecot " + output("/usr/sbin/dovecot", "--version"),
			firstLine([]byte(output("maildrop", "-v")))}, "; ")},
		{"scale", fmt.Sprintf("%d rounds, %d messages over LMTP to %d mailboxes, %d processes of each filter", b.scale.rounds, b.messages, mailboxes, b.processes)},
		{"load average", b.loadRange()},
		{"took", time.Since(b.started).Round(time.Second).String()},
	}
	w.WriteString("| | |\n|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s |\n", r[0], r[1])
	}
	w.WriteString("\n")
}

func (b *bench) loadRange() string {
	if len(b.loads) == 0 {
		return "not looked at"
	}
	return fmt.Sprintf("%.1f to %.1f at the start of the rounds, our own work included", slices.Min(b.loads), slices.Max(b.loads))
}

// output is for facts about the machine; one that cannot be had is "?".
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(out))
}

func commit() string {
	id := output("git", "rev-parse", "--short", "HEAD")
	if changed := output("git", "status", "--porcelain", "--untracked-files=no", "--", ":/", ":!docs/bench.md"); changed != "" && changed != "?" {
		id += " with changes"
	}
	return id
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "?"
	}
	_, rest, _ := strings.Cut(string(text), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, "\t :")
}

// has reports whether something was measured.
func (r results) has(name string) bool { return len(r[name]) > 0 }

func perSecond(v float64) string { return fmt.Sprintf("%.0f/s", v) }

func inMS(v float64) string { return fmt.Sprintf("%.3g ms", v) }

func inMiB(v float64) string { return fmt.Sprintf("%.0f MiB", v/(1<<20)) }

func (b *bench) tableLimit() table {
	t := table{title: "R3: plain mail against what the machine allows", about: "The limit is composed of two: files made durable, and messages taken by a server that throws " +
		"them away: 1/(1/durable + 1/sink)."}
	for _, size := range sizes {
		for _, c := range b.connections {
			name := func(subject string) string { return lmtpName(subject, plain+"-"+size, c) + "/rate" }
			if !b.results.has(name("durable")) {
				continue
			}
			limit := b.results.each(func(v []float64) float64 { return composed(v[0], v[1]) }, name("durable"), name("sink"))
			t.rows = append(t.rows, row{work: fmt.Sprintf("%s, %d connections", size, c), ours: perSecond(b.results.median(name("lmtpd"))),
				peer:  fmt.Sprintf("%s (durable %s, sink %s)", perSecond(limit.median), perSecond(b.results.median(name("durable"))), perSecond(b.results.median(name("sink")))),
				ratio: b.results.each(func(v []float64) float64 { return divide(v[0], composed(v[1], v[2])) }, name("lmtpd"), name("durable"), name("sink")), target: 0.75})
		}
	}
	for _, c := range []int{1, 16} {
		with, without := lmtpName("lmtpd", plain+"-4k", c)+"/rate", lmtpName("bare", plain+"-4k", c)+"/rate"
		if b.results.has(without) {
			t.rows = append(t.rows, row{work: fmt.Sprintf("4k, %d connections, against ours with all checks off", c), ours: perSecond(b.results.median(with)),
				peer: perSecond(b.results.median(without)), ratio: b.results.ratio(with, without), target: 0.9})
		}
	}
	return t
}

func (b *bench) tableDovecot() table {
	t := table{title: "R1: plain mail against Dovecot's LMTP server", about: "Dovecot as installed (mail_fsync = optimized) also keeps an index. p50 and p99 are of one message, ours first."}
	for _, size := range sizes {
		for _, c := range b.connections {
			ours, peer := lmtpName("lmtpd", plain+"-"+size, c), lmtpName("dovecot", plain+"-"+size, c)
			if !b.results.has(peer + "/rate") {
				continue
			}
			var target float64
			if c == 16 {
				target = 2
			}
			m := b.results.median
			t.rows = append(t.rows, row{work: fmt.Sprintf("%s, %d connections; p50 %.2g and %.2g ms, p99 %.2g and %.2g ms", size, c, m(ours+"/p50"), m(peer+"/p50"), m(ours+"/p99"), m(peer+"/p99")),
				ours: perSecond(m(ours + "/rate")), peer: perSecond(m(peer + "/rate")), ratio: b.results.ratio(ours+"/rate", peer+"/rate"), target: target})
		}
	}
	return t
}

func (b *bench) tableCPU() table {
	t := table{title: "R2: processor time of the server for each plain message", about: "Foreign is the share of both processors that neither server nor loader used, in our runs and in Dovecot's; " +
		"the kernel's own threads are in it."}
	for _, size := range sizes {
		for _, c := range b.connections {
			ours, peer := lmtpName("lmtpd", plain+"-"+size, c), lmtpName("dovecot", plain+"-"+size, c)
			if !b.results.has(peer + "/cpu") {
				continue
			}
			m := b.results.median
			work := fmt.Sprintf("%s, %d connections", size, c)
			t.rows = append(t.rows,
				row{work: work + ": user against all of Dovecot's", ours: inMS(m(ours + "/user")), peer: inMS(m(peer + "/cpu")),
					ratio: b.results.ratio(ours+"/user", peer+"/cpu"), target: 0.1, atMost: true},
				row{work: fmt.Sprintf("%s: user and system (foreign %.0f%%, %.0f%%)", work, 100*m(ours+"/other"), 100*m(peer+"/other")), ours: inMS(m(ours + "/cpu")), peer: inMS(m(peer + "/cpu")),
					ratio: b.results.ratio(ours+"/cpu", peer+"/cpu"), target: 1.0 / 3, atMost: true})
		}
	}
	return t
}

// The least public-key operations of a message of each kind: one that opens, and three that verify: the signer's
// signature, and those on his certificate and on that of its issuer. Issuers here have RSA keys.
var operations = map[string][]string{
	detached:  {"OperationRSADecrypt", "OperationRSAVerify", "OperationRSAVerify", "OperationRSAVerify"},
	p256:      {"OperationRSADecrypt", "OperationECDSAVerify", "OperationRSAVerify", "OperationRSAVerify"},
	agreement: {"OperationECDH", "OperationECDSAVerify", "OperationRSAVerify", "OperationRSAVerify"},
}

// ceiling is the rate of the operations done one after the other; v is that of each.
func ceiling(v []float64) float64 {
	var seconds float64
	for _, rate := range v {
		seconds += divide(1, rate)
	}
	return divide(1, seconds)
}

func operationNames(kind string, n int, clock string) []string {
	var names []string
	for _, operation := range operations[kind][:n] {
		names = append(names, "inprocess/"+operation+"/"+clock)
	}
	return names
}

func (b *bench) tableSealed() table {
	t := table{title: "R8: sealed mail against Go's crypto", about: "The ceiling is one opening and three verifications on all processors; since a path that was found good is " +
		"remembered, the ceiling with one verification stands beside it. Over LMTP the limit is 1/(1/ceiling + 1/plain), plain being our own rate without a seal. In process " +
		"the rates are of the time that the processors worked."}
	for _, kind := range []string{detached, p256, agreement} {
		for _, size := range sizes {
			name := fmt.Sprintf("%s-%s, %d connections", kind, size, sealedConnections)
			sealed := lmtpName("lmtpd", kind+"-"+size, sealedConnections) + "/rate"
			if !b.results.has(sealed) {
				continue
			}
			for _, verifications := range []int{3, 1} {
				names := append([]string{sealed, lmtpName("lmtpd", plain+"-"+size, sealedConnections) + "/rate"}, operationNames(kind, 1+verifications, "wall")...)
				limit := b.results.each(func(v []float64) float64 { return composed(ceiling(v[2:]), v[1]) }, names...)
				r := row{work: name, ours: perSecond(b.results.median(sealed)), peer: perSecond(limit.median),
					ratio: b.results.each(func(v []float64) float64 { return divide(v[0], composed(ceiling(v[2:]), v[1])) }, names...), target: 0.8}
				if verifications == 1 {
					r.work, r.target = name+", one verification", 0
				}
				t.rows = append(t.rows, r)
			}
		}
	}
	for kind, signer := range map[string]string{detached: "RSA", p256: "P256"} {
		for _, size := range sizes {
			name := "inprocess/Sealed/" + signer + "/" + size + "/cpu"
			if !b.results.has(name) {
				continue
			}
			for _, verifications := range []int{3, 1} {
				names := append([]string{name}, operationNames(kind, 1+verifications, "cpu")...)
				top := b.results.each(func(v []float64) float64 { return ceiling(v[1:]) }, names...)
				r := row{work: fmt.Sprintf("%s-%s in process", kind, size), ours: perSecond(b.results.median(name)), peer: perSecond(top.median),
					ratio: b.results.each(func(v []float64) float64 { return divide(v[0], ceiling(v[1:])) }, names...), target: 0.85}
				if verifications == 1 {
					r.work, r.target = r.work+", one verification", 0
				}
				t.rows = append(t.rows, r)
			}
		}
	}
	slices.SortStableFunc(t.rows[len(t.rows)-min(len(t.rows), 8):], func(a, c row) int { return strings.Compare(a.work, c.work) })
	return t
}

func (b *bench) tablePipeline() table {
	t := table{title: "R9: sealed mail against two openssl pipelines at once", about: "`openssl cms -decrypt | openssl cms -verify`, whose output nobody keeps; ours delivers."}
	for _, size := range sizes {
		for _, c := range []int{pipelineConnections, sealedConnections} {
			ours, peer := lmtpName("lmtpd", detached+"-"+size, c)+"/rate", "openssl/"+detached+"-"+size+"/two/rate"
			if b.results.has(peer) {
				t.rows = append(t.rows, row{work: fmt.Sprintf("%s, ours with %d connections", size, c), ours: perSecond(b.results.median(ours)),
					peer: perSecond(b.results.median(peer)), ratio: b.results.ratio(ours, peer), target: 8})
			}
		}
	}
	return t
}

func (b *bench) tableFilter() table {
	t := table{title: "R4, R5: a process for each message"}
	add := func(work, ours, peer string, target float64) {
		if b.results.has(ours+"/ms") && b.results.has(peer+"/ms") {
			t.rows = append(t.rows, row{work: work, ours: inMS(b.results.median(ours + "/ms")), peer: inMS(b.results.median(peer + "/ms")),
				ratio: b.results.ratio(ours+"/ms", peer+"/ms"), target: target, atMost: true})
		}
	}
	for _, size := range []string{"4k", "50k", "1m"} {
		target := 0.5
		if size == "1m" {
			target = 1.0 / 3
		}
		add("R4: "+size+" to standard output, against the glue script", "filter/"+size, "glue/"+size, target)
		add("R4: "+size+" into a Maildir, against the glue script and maildrop", "filter-maildir/"+size, "glue-maildrop/"+size, target)
	}
	add("R5: plain 4k into a Maildir, against maildrop", "filter-maildir/plain", "maildrop/plain", 1)
	more := b.results.each(func(v []float64) float64 { return v[0] - v[1] }, "filter-many/plain/ms", "filter-maildir/plain/ms")
	if b.results.has("filter-many/plain/ms") {
		t.rows = append(t.rows, row{work: "R5: milliseconds more with 10 anchors and 20 keys", ours: inMS(b.results.median("filter-many/plain/ms")),
			peer: inMS(b.results.median("filter-maildir/plain/ms")), ratio: more, target: 2, atMost: true})
		t.about = fmt.Sprintf("The message comes through a pipe. Starting and ending `/bin/true` takes %s here.", inMS(b.results.median("true/ms")))
	}
	return t
}

func (b *bench) tableLarge() table {
	t := table{title: "R6: large sealed messages against the openssl pipeline", about: "Ours delivers durably, over LMTP or as a filter; what openssl writes is thrown away."}
	for _, size := range b.large {
		for _, kind := range []string{detached, opaque} {
			message := kind + "-" + size
			peer := "openssl/" + message + "/ms"
			for way, ours := range map[string]string{"LMTP": lmtpName("lmtpd", message, 1) + "/p50", "filter": "filter/" + message + "/ms"} {
				if b.results.has(ours) && b.results.has(peer) {
					t.rows = append(t.rows, row{work: message + ", " + way, ours: inMS(b.results.median(ours)), peer: inMS(b.results.median(peer)),
						ratio: b.results.ratio(ours, peer), target: 0.5, atMost: true})
				}
			}
		}
	}
	slices.SortFunc(t.rows, func(a, c row) int { return strings.Compare(a.work, c.work) })
	return t
}

func (b *bench) tableMemory() table {
	t := table{title: "R7: peak resident memory with one message of " + b.large[len(b.large)-1], about: "Ours is the peak of the server, and what it has when idle; the ratio is what comes " +
		"on top, in MiB; for plain mail it is the peak itself."}
	for _, kind := range []string{plain, detached, opaque, gcm, nested} {
		idle, peak := "lmtpd/"+kind+"/idle", "lmtpd/"+kind+"/peak"
		if !b.results.has(peak) {
			continue
		}
		r := row{work: kind, ours: fmt.Sprintf("%s, idle %s", inMiB(b.results.median(peak)), inMiB(b.results.median(idle))), target: 64, atMost: true,
			ratio: b.results.each(func(v []float64) float64 { return (v[0] - v[1]) / (1 << 20) }, peak, idle)}
		if kind == plain {
			r.target, r.ratio = 30, b.results.each(func(v []float64) float64 { return v[0] / (1 << 20) }, peak)
		}
		if openssl := "openssl/" + kind + "/peak"; b.results.has(openssl) {
			r.peer = inMiB(b.results.median(openssl))
		}
		t.rows = append(t.rows, r)
	}
	return t
}

func (b *bench) tableGrowth() table {
	t := table{title: "Growth", about: "How much longer each octet takes in the larger message; 1 is linear."}
	sizes := append([]string{"1m"}, b.large...)
	for _, kind := range []string{plain, detached, opaque} {
		for i := range sizes[1:] {
			small, large := kind+"-"+sizes[i], kind+"-"+sizes[i+1]
			a, c := lmtpName("lmtpd", small, 1)+"/p50", lmtpName("lmtpd", large, 1)+"/p50"
			before, errBefore := os.Stat(b.site.message(small))
			after, errAfter := os.Stat(b.site.message(large))
			if !b.results.has(c) || errBefore != nil || errAfter != nil {
				continue
			}
			octets := float64(after.Size()) / float64(before.Size())
			t.rows = append(t.rows, row{work: fmt.Sprintf("%s from %s to %s", kind, sizes[i], sizes[i+1]), ours: inMS(b.results.median(c)), peer: inMS(b.results.median(a)),
				ratio: b.results.each(func(v []float64) float64 { return divide(v[0], v[1]*octets) }, c, a), target: 1.1, atMost: true})
		}
	}
	return t
}
