package deliver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"paperknife/deliver"
	"paperknife/deliver/delivertest"
)

// BenchmarkMaildir is one delivery after the other, 4 KB each, over 64 Maildirs; BenchmarkBare the same system calls
// without us: what the disk allows.
func BenchmarkMaildir(b *testing.B) {
	m, err := deliver.NewMaildir(deliver.MaildirSettings{Template: "{domain}/{local}", Base: b.TempDir(), Hostname: "mx"})
	if err != nil {
		b.Fatal(err)
	}
	tx := m.Begin(b.Context(), "sender@example.com")
	view := delivertest.View{Text: strings.Repeat("x", 4096)}
	deliverOne := func(i int) {
		to := []deliver.Recipient{{Address: fmt.Sprintf("user%d@example.net", i%64)}}
		if r := tx.Deliver(b.Context(), view, to); !r[0].Delivered() {
			b.Fatal(&r[0])
		}
	}
	for i := range 64 {
		deliverOne(i)
	}
	for i := 0; b.Loop(); i++ {
		deliverOne(i)
	}
}

func BenchmarkBare(b *testing.B) {
	dir := b.TempDir()
	for i := range 64 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(i), "new"), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	content := make([]byte, 4200)
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		box := filepath.Join(dir, fmt.Sprint(i%64), "new")
		fd, err := unix.Open(box, unix.O_TMPFILE|unix.O_WRONLY, 0o600)
		check(err)
		_, err = unix.Write(fd, content)
		check(err)
		check(unix.Fsync(fd))
		check(unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, filepath.Join(box, fmt.Sprint(i)), unix.AT_SYMLINK_FOLLOW))
		check(unix.Close(fd))
		d, err := unix.Open(box, unix.O_RDONLY, 0)
		check(err)
		check(unix.Fsync(d))
		check(unix.Close(d))
	}
}
