package limits

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperknife/seal"
	"paperknife/test/harness"
)

// howOften says how often the server is killed.
func howOften() int {
	if harness.Proving() {
		return 200
	}
	return 50
}

const (
	workers     = 6
	longestLife = 250 * time.Millisecond
)

// THREATS C06, C07: the server is killed at any moment under load and started again. What was answered 250 is there,
// whole; nothing is there in part; nothing is left behind. What was not answered may be there, as a duplicate of what
// the client sends again.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	record := harness.NewRecord(t, 45, "kill -9 at random moments, under load")
	record.Text = append(record.Text, fmt.Sprintf("%d clients send small and large messages, plain and sealed, to one and two recipients. The server is killed after a random time of at most %v and "+
		"started again; what was not answered is sent again.", workers, longestLife))
	dir := site(t, "")
	l := newLoad(t)
	kills := howOften()
	program := binary(t, "lmtpd")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var idle time.Duration
	times := 0
	// On a busy machine more lives are needed for something to happen in them.
	for ; times < kills || l.answers() < kills && times < 4*kills; times++ {
		began := time.Now()
		s, err := launch(dir, program)
		if err != nil {
			t.Fatal(err)
		}
		idle += time.Since(began)
		life := time.Duration(random.Int64N(int64(longestLife)))
		var running sync.WaitGroup
		for _, w := range l.workers {
			running.Go(func() { w.run(s) })
		}
		time.Sleep(life)
		if !s.runs() {
			t.Fatalf("lmtpd ended before it was killed: %v\n%s", s.err, s.log.tail())
		}
		s.kill()
		running.Wait()
	}
	t.Logf("%d kills, a start takes %v", times, (idle / time.Duration(times)).Round(time.Millisecond))
	record.Columns = []string{"kills", "answers of 250", "files", "lost", "not whole", "messages sent again", "duplicates", "delivered and never answered"}
	record.Rows = [][]string{append([]string{fmt.Sprint(times)}, l.check(t, dir)...)}
	if left := names(t, filepath.Join(dir, "spool")); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
}

// A load is what the workers send and what they were told.
type load struct {
	kinds   []kind
	workers []*worker
	next    atomic.Int64

	mu       sync.Mutex
	bodies   map[string][sha256.Size]byte // by Message-ID
	answered map[string]bool              // 250, by mailbox and Message-ID
}

// A kind is an entity to send and the body that is to come out.
type kind struct {
	name   string
	entity []byte
	body   [sha256.Size]byte
}

func newLoad(t *testing.T) *load {
	l := &load{bodies: map[string][sha256.Size]byte{}, answered: map[string]bool{}}
	p := everyone(t)
	add := func(name string, size, times int, sealed bool) {
		body := bytes.Repeat([]byte(name+" "+textLine), size/(len(name)+1+len(textLine))+1)
		entity := append([]byte(textHeader), body...)
		if sealed {
			var err error
			if entity, err = seal.Sign(entity, p.alice, seal.SignOptions{}); err != nil {
				t.Fatal(err)
			}
			if entity, err = seal.EncryptTo(entity, []*x509.Certificate{p.dca.Certificate}, seal.EncryptOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		k := kind{name, entity, sha256.Sum256(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))}
		for range times {
			l.kinds = append(l.kinds, k)
		}
	}
	add("small", 1<<10, 4, false)
	add("small sealed", 1<<10, 3, true)
	add("large", 1<<20, 1, false)
	add("large sealed", 1<<20, 1, true)
	for range workers {
		l.workers = append(l.workers, &worker{load: l})
	}
	return l
}

// A worker sends one message after the other. One that was not answered for every recipient it sends again.
type worker struct {
	load    *load
	id      string
	message []byte
	to      []string // recipients not answered yet
	again   int      // messages sent again
}

// run works until the server is gone.
func (w *worker) run(s *server) {
	c, err := s.dial()
	if err != nil {
		return
	}
	for err == nil {
		if len(w.to) == 0 {
			w.compose()
		} else {
			w.again++
		}
		err = w.send(c)
	}
	_ = c.abandon(err)
}

func (w *worker) compose() {
	n := w.load.next.Add(1)
	k := w.load.kinds[n%int64(len(w.load.kinds))]
	w.id = fmt.Sprintf("<%d@sales.example.com>", n)
	w.message = append([]byte("From: "+sender+"\r\nSubject: "+k.name+"\r\nMessage-ID: "+w.id+"\r\nMIME-Version: 1.0\r\n"), k.entity...)
	w.to = []string{incapable}
	if n%3 == 0 {
		w.to = []string{incapable, another}
	}
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	w.load.bodies[w.id] = k.body
}

// send notes each 250.
func (w *worker) send(c *client) error {
	if err := c.begin(w.to...); err != nil {
		return err
	}
	if err := stuff(c.conn, bytes.NewReader(w.message)); err != nil {
		return err
	}
	for len(w.to) > 0 {
		if _, err := c.reply("250"); err != nil {
			return err
		}
		w.load.mu.Lock()
		w.load.answered[w.to[0]+" "+w.id] = true
		w.load.mu.Unlock()
		w.to = w.to[1:]
	}
	return nil
}

func (l *load) answers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

// check reads both Maildirs, and returns its figures.
func (l *load) check(t *testing.T, dir string) []string {
	t.Helper()
	found := map[string]int{}
	files, torn := 0, 0
	for _, recipient := range []string{incapable, another} {
		for _, name := range listing(t, box(dir, recipient)) {
			files++
			if id := l.checkFile(t, name); id != "" {
				found[recipient+" "+id]++
			} else {
				torn++
			}
		}
	}
	lost, unanswered, duplicates, again := 0, 0, 0, 0
	for key := range l.answered {
		if found[key] == 0 {
			lost++
			t.Errorf("answered 250 and lost: %s", key)
		}
	}
	for key, n := range found {
		duplicates += n - 1
		if !l.answered[key] {
			unanswered++
		}
	}
	for _, w := range l.workers {
		again += w.again
	}
	t.Logf("%d answers of 250, %d files, %d lost; %d messages sent again, %d duplicates, %d delivered and never answered",
		len(l.answered), files, lost, again, duplicates, unanswered)
	if len(l.answered) == 0 || again == 0 {
		t.Errorf("too little to show anything: %d answers, %d messages sent again", len(l.answered), again)
	}
	var figures []string
	for _, n := range []int{len(l.answered), files, lost, torn, again, duplicates, unanswered} {
		figures = append(figures, fmt.Sprint(n))
	}
	return figures
}

// checkFile compares one message with what was sent under its Message-ID, and returns that.
func (l *load) checkFile(t *testing.T, name string) string {
	t.Helper()
	content := readFile(t, name)
	header, body, whole := bytes.Cut(content, []byte("\n\n"))
	var id string
	for line := range strings.Lines(string(header)) {
		if value, ok := strings.CutPrefix(line, "Message-ID: "); ok {
			id = strings.TrimSpace(value)
		}
	}
	if want, known := l.bodies[id]; !whole || !known || sha256.Sum256(body) != want {
		t.Errorf("not whole: %s, Message-ID %q, %d octets", name, id, len(content))
		return ""
	}
	if !strings.Contains(filepath.Base(name), fmt.Sprintf(",S=%d,", len(content))) {
		t.Errorf("size in the name of %s, want %d", name, len(content))
	}
	return id
}
