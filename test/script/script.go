// Package script runs the command-line tests of the programs: txtar files in the testdata directory of each command, in
// the language of testscript, with a site of fixed keys and messages copied beside them. The fixed files are made by
// "go test ./test/path -run TestSite -update", what the scripts compare with by running them with UPDATE_SCRIPTS=1.
package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paperknife/test/harness"
)

// Site is where the fixed files are, relative to the root of the repository: paperknife.toml with a domain example.net
// and a recipient of each class, keys, anchors, messages.
const Site = "cmd/testdata/site"

// Run runs the scripts in testdata. They find the fixed files in $SITE, which is a copy, and know more commands:
//
//	code N PROGRAM [ARGS]        runs a program, which must end with this exit code
//	lmtp SOCKET FILE             sends each line of a dialogue, prints what the server says
//	contract FILE                prints what explain -json has printed, without what is no contract
func Run(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			site := filepath.Join(env.WorkDir, "site")
			env.Setenv("SITE", site)
			if err := os.CopyFS(site, os.DirFS(filepath.Join(root, Site))); err != nil {
				return err
			}
			return os.Chmod(filepath.Join(site, "dca.key"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "lmtp": lmtp, "contract": contract},
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM [ARGS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, exit := 0, new(exec.ExitError)
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// explained is what other programs read of explain -json.
type explained struct {
	AuthservID string `json:"authserv_id"`
	Subject    string `json:"subject"`
	Layers     []struct {
		Type       string            `json:"type"`
		Role       string            `json:"role"`
		Algorithms []string          `json:"algorithms"`
		Signers    []json.RawMessage `json:"signers"`
		Result     string            `json:"result"`
		Reason     string            `json:"reason"`
	} `json:"layers"`
	Results []struct {
		Method     string            `json:"method"`
		Result     string            `json:"result"`
		Reason     string            `json:"reason"`
		Properties map[string]string `json:"properties"`
	} `json:"results"`
	Decision struct {
		Action string `json:"action"`
		View   string `json:"view"`
		Reason string `json:"reason"`
	} `json:"decision"`
}

func contract(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: contract FILE")
	}
	var e explained
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &e))
	for i := range e.Layers {
		for j := range e.Layers[i].Signers {
			e.Layers[i].Signers[j] = json.RawMessage("{}")
		}
	}
	text, err := json.MarshalIndent(e, "", "  ")
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

// lmtp waits for the socket, then takes a line at a time; after DATA, lines up to a dot are sent at once, and a reply
// is due for every accepted recipient.
func lmtp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lmtp SOCKET FILE")
	}
	conn := dial(ts, ts.MkAbs(args[0]))
	defer conn.Close()
	c := &harness.Replies{Conn: conn}
	said := func(n int) string {
		var all strings.Builder
		for range n {
			reply, err := c.Next()
			ts.Check(err)
			all.WriteString(reply)
		}
		fmt.Fprint(ts.Stdout(), all.String())
		return all.String()
	}
	said(1)
	recipients := 0
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(args[1]), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		send(ts, conn, lines[i])
		reply := said(1)
		switch {
		case strings.HasPrefix(lines[i], "RCPT") && strings.HasPrefix(reply, "2"):
			recipients++
		case strings.HasPrefix(reply, "354"):
			for i++; ; i++ {
				send(ts, conn, lines[i])
				if lines[i] == "." {
					break
				}
			}
			said(recipients)
			recipients = 0
		}
	}
}

func send(ts *testscript.TestScript, conn net.Conn, line string) {
	_, err := conn.Write([]byte(line + "\r\n"))
	ts.Check(err)
}

func dial(ts *testscript.TestScript, socket string) net.Conn {
	const patience = 20 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn
		}
		if time.Now().After(end) {
			ts.Fatalf("%v", err)
		}
	}
}
