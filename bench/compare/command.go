package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"paperknife/bench/measure"
)

// A command is a program, or a pipeline of them, that takes one message on standard input. What the last one writes goes
// to /dev/null.
type command struct {
	stages [][]string
	file   string // standard input is this file
	text   []byte // or a pipe that this is written into, as by a mail server
	env    []string
	as     *syscall.SysProcAttr
}

// A finish is how a command ended.
type finish struct {
	wall  time.Duration
	usage measure.Usage
	peak  int64 // sum of the stages' largest resident sets; only if it was asked for
}

// lookPeak is how often a running command is looked at for its peak.
const lookPeak = 30 * time.Millisecond

// once runs the command and waits for its end.
func (c command) once(peak bool) (finish, error) {
	// For writing alone: a filter may take one that can be read for a standard output that was closed.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return finish{}, err
	}
	defer null.Close()
	began := time.Now()
	in, feed, err := c.input()
	if err != nil {
		return finish{}, err
	}
	var processes []*os.Process
	for i, stage := range c.stages {
		out, next := null, (*os.File)(nil)
		if i+1 < len(c.stages) {
			if next, out, err = os.Pipe(); err != nil {
				return finish{}, err
			}
		}
		p, err := os.StartProcess(stage[0], stage, &os.ProcAttr{Dir: "/", Env: c.env, Files: []*os.File{in, out, null}, Sys: c.as})
		in.Close()
		if next != nil {
			out.Close()
		}
		if err != nil {
			return finish{}, err
		}
		processes = append(processes, p)
		in = next
	}
	fed := make(chan error, 1)
	go func() { fed <- feed() }()
	stopLooking := look(processes, peak)
	var f finish
	var errs []error
	for i, p := range processes {
		state, err := p.Wait()
		switch {
		case err != nil:
			errs = append(errs, err)
		case !state.Success():
			errs = append(errs, fmt.Errorf("%s: %v", c.stages[i][0], state))
		default:
			f.usage.User += state.UserTime()
			f.usage.System += state.SystemTime()
		}
	}
	f.wall = time.Since(began)
	f.peak = stopLooking()
	return f, errors.Join(append(errs, <-fed)...)
}

// input returns standard input of the first stage, and what fills it.
func (c command) input() (*os.File, func() error, error) {
	if c.text == nil {
		in, err := os.Open(c.file)
		return in, func() error { return nil }, err
	}
	in, out, err := os.Pipe()
	return in, func() error {
		_, err := out.Write(c.text)
		return errors.Join(err, out.Close())
	}, err
}

// look watches the memory of running processes until the function it returns is called.
func look(processes []*os.Process, wanted bool) (stop func() int64) {
	if !wanted {
		return func() int64 { return 0 }
	}
	peaks := make([]int64, len(processes))
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for i, p := range processes {
				if peak, err := measure.Peak(p.Pid); err == nil {
					peaks[i] = max(peaks[i], peak)
				}
			}
			select {
			case <-end:
				return
			case <-time.After(lookPeak):
			}
		}
	}()
	return func() (sum int64) {
		close(end)
		<-ended
		for _, peak := range peaks {
			sum += peak
		}
		return sum
	}
}

// A batch is what many runs of a command took.
type batch struct {
	median float64 // milliseconds of one run
	cpu    float64 // milliseconds of processor time of one run
	rate   float64 // runs a second, all together
}

// many runs the command n times, some at once.
func (c command) many(n, atOnce int) (batch, error) {
	var (
		mu    sync.Mutex
		walls []float64
		usage measure.Usage
		errs  []error
		left  = n
		done  sync.WaitGroup
	)
	take := func() bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0 && len(errs) == 0
	}
	began := time.Now()
	for range atOnce {
		done.Go(func() {
			for take() {
				f, err := c.once(false)
				mu.Lock()
				walls = append(walls, measure.Milliseconds(f.wall))
				usage.User += f.usage.User
				usage.System += f.usage.System
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	done.Wait()
	wall := time.Since(began)
	return batch{measure.Median(walls), measure.Milliseconds(usage.User+usage.System) / float64(n), float64(n) / wall.Seconds()}, errors.Join(errs...)
}

func (r results) addBatch(name string, b batch) {
	r.add(name+"/ms", b.median)
	r.add(name+"/cpu", b.cpu)
	r.add(name+"/rate", b.rate)
}

// program finds a peer's program, or returns "".
func program(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// pipeline is openssl decrypting and verifying.
func (s *site) pipeline(message string) command {
	openssl := program("openssl")
	return command{file: s.message(message), as: s.credential, stages: [][]string{
		{openssl, "cms", "-decrypt", "-recip", s.path("keys", "dca-rsa.pem"), "-inkey", s.path("keys", "dca-rsa.key")},
		{openssl, "cms", "-verify", "-CAfile", s.path("keys", "ca.pem")},
	}}
}

// glue is the script, with the program that gets the message after it, if any.
func (s *site) glue(text []byte, next ...string) command {
	return command{text: text, as: s.credential, stages: [][]string{append([]string{s.path("glue-filter.sh")}, next...)}, env: append(s.environment(),
		"CERT="+s.path("keys", "dca-rsa.pem"), "KEY="+s.path("keys", "dca-rsa.key"), "ANCHORS="+s.path("keys", "ca.pem"))}
}

// environment is that of a delivery agent.
func (s *site) environment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + s.path("home"), "LOGNAME=" + s.user, "TMPDIR=" + s.path("spool")}
}

func (s *site) filter(text []byte, config string, more ...string) command {
	args := append([]string{s.bin("deliver-filter"), "-config", s.path(config), "-f", "bounces@example.com", "-d", "user0@example.net"}, more...)
	return command{text: text, as: s.credential, env: s.environment(), stages: [][]string{args}}
}

// maildrop is nil where there is none.
func (s *site) maildrop() []string {
	if path := program("maildrop"); path != "" {
		return []string{path, s.path("mailfilter")}
	}
	return nil
}

// makeMaildir makes an empty Maildir for programs that do not.
func (s *site) makeMaildir(name string) error {
	if err := s.renew(s.path("home", name)); err != nil {
		return err
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		dir := s.path("home", name, sub)
		if err := errors.Join(os.Mkdir(dir, 0o700), s.chown(dir)); err != nil {
			return err
		}
	}
	return nil
}

// files counts what is in new/ of a Maildir.
func (s *site) files(name string) (int, error) {
	d, err := os.Open(s.path("home", name, "new"))
	if err != nil {
		return 0, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err == io.EOF {
		err = nil
	}
	return len(names), err
}
