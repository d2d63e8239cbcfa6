package harness

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

const config = "authserv_id = \"mx.example.net\"\n" + Listen

func TestServer(t *testing.T) {
	site := NewSite(t, config, nil)
	site.Start(t)
	client := site.Dial(t)
	message := "From: a@example.com\r\nSubject: dots\r\n\r\n.\r\n..x\r\nend"
	replies := client.Deliver("a@example.com", []string{"b@example.net", "c@example.net"}, []byte(message))
	if len(replies) != 2 || !strings.HasPrefix(replies[1], "250 2.") {
		t.Errorf("replies %q", replies)
	}
	client.Quit()
	for _, address := range []string{"b@example.net", "c@example.net"} {
		fields, body := Split(site.Take(t, address))
		if string(body) != ".\n..x\nend\n" {
			t.Errorf("%s: body %q", address, body)
		}
		if found := Find(fields, "subject"); len(found) != 1 || found[0].Value() != "dots" {
			t.Errorf("%s: subject %q", address, found)
		}
	}
}

func TestFilter(t *testing.T) {
	site := NewSite(t, config, nil)
	end := site.Filter(t, []byte("From: a@example.com\nSubject: x\n\nhello"), "-d", "b@example.net")
	if end.Code != 0 || len(end.Stderr) != 0 || !strings.HasSuffix(string(end.Stdout), "\n\nhello") {
		t.Errorf("%d %q %q", end.Code, end.Stdout, end.Stderr)
	}
	if end := site.Filter(t, nil, "-nonsense"); end.Code != 75 {
		t.Errorf("wrong flag: %d", end.Code)
	}
}

func TestStuffed(t *testing.T) {
	for in, want := range map[string]string{"": ".\r\n", ".a\n.b": "..a\r\n..b\r\n.\r\n", "a\r\n": "a\r\n.\r\n"} {
		if got := string(Stuffed([]byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
