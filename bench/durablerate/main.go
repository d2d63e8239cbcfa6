// Command durablerate finds how many small files a second this file system makes durable: written without a name,
// synced, linked into a directory, directory synced. It is the least that a delivery into a Maildir takes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"paperknife/bench/measure"
)

// A job is what to write.
type job struct {
	dir              string
	files, mailboxes int
	content          []byte
	next             atomic.Int64
}

func main() {
	var j job
	flag.StringVar(&j.dir, "dir", "", "`directory` to work in; it is made, and stays")
	flag.IntVar(&j.files, "n", 1000, "files")
	flag.IntVar(&j.mailboxes, "mailboxes", 64, "directories that get the files, in turn")
	workers := flag.Int("c", 1, "files at one time")
	size := flag.Int("size", 4096, "octets of a file")
	flag.Parse()
	j.content = make([]byte, *size)
	for i := range j.content {
		j.content[i] = byte('a' + i%26)
	}
	summary, err := j.run(*workers)
	if err == nil {
		err = summary.Print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "durablerate:", err)
		os.Exit(1)
	}
}

func (j *job) run(workers int) (measure.Summary, error) {
	for i := range j.mailboxes {
		if err := os.MkdirAll(j.box(i), 0o700); err != nil {
			return measure.Summary{}, err
		}
	}
	unix.Sync()
	times, errs := make([][]time.Duration, workers), make([]error, workers)
	began := time.Now()
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() { times[w], errs[w] = j.work() })
	}
	done.Wait()
	wall := time.Since(began)
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	return measure.Summarize(all, wall, 0), errors.Join(errs...)
}

func (j *job) box(i int) string { return filepath.Join(j.dir, fmt.Sprint(i%j.mailboxes), "new") }

func (j *job) work() ([]time.Duration, error) {
	times := make([]time.Duration, 0, j.files)
	for {
		i := int(j.next.Add(1)) - 1
		if i >= j.files {
			return times, nil
		}
		began := time.Now()
		// As long as a name in a Maildir.
		if err := j.write(j.box(i), fmt.Sprintf("%d.M%06dP%dQ%08d.mx.example.net,S=4321,W=4400", began.Unix(), i, os.Getpid(), i)); err != nil {
			return times, err
		}
		times = append(times, time.Since(began))
	}
}

func (j *job) write(dir, name string) (err error) {
	d, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(d)) }()
	f, err := unix.Openat(d, ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(f)) }()
	if _, err := unix.Write(f, j.content); err != nil {
		return err
	}
	if err := unix.Fsync(f); err != nil {
		return err
	}
	if err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f), d, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return err
	}
	return unix.Fsync(d)
}
