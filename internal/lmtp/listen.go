package lmtp

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Why Listen refuses a unix socket.
var (
	ErrInUse     = errors.New("another server listens there")
	ErrNotSocket = errors.New("exists and is no socket")
)

// ListenAll opens every socket of the list, as Listen does, or none.
func ListenAll(specs []string, mode os.FileMode) ([]net.Listener, error) {
	var list []net.Listener
	for _, spec := range specs {
		l, err := Listen(spec, mode)
		if err != nil {
			for _, opened := range list {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// Listen opens "unix:/path" with the given mode, or "host:port". A unix socket that a dead server left behind is
// replaced; a live one, or anything else of that name, never is. A lock beside the socket ("/path.lock") keeps two
// servers that start together apart.
func Listen(spec string, mode os.FileMode) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(spec, "unix:")
	if !isUnix {
		l, err := net.Listen("tcp", spec)
		if err != nil {
			return nil, fmt.Errorf("listen on %q: %w", spec, err)
		}
		return l, nil
	}
	l, err := listenUnix(path, mode)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", spec, err)
	}
	return l, nil
}

func listenUnix(path string, mode os.FileMode) (net.Listener, error) {
	if path == "" {
		return nil, errors.New("path missing")
	}
	lock, err := lockBeside(path)
	if err != nil {
		return nil, err
	}
	if err := clear(path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l, err := bind(path, mode)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &unixListener{Listener: l, lock: lock}, nil
}

// lockBeside takes the lock. It goes with the process, so a kill leaves none behind.
func lockBeside(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// clear removes a socket that nobody listens on. It asks, since a server that does not know the lock may be there.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return ErrNotSocket
	}
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	if err == nil {
		return errors.Join(ErrInUse, c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return os.Remove(path)
}

// umaskLock guards the umask, which belongs to the whole process.
var umaskLock sync.Mutex

// bind makes the socket. It is never open to more than mode allows, not even between bind and chmod.
func bind(path string, mode os.FileMode) (net.Listener, error) {
	umaskLock.Lock()
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	umaskLock.Unlock()
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// A unixListener gives its lock back when it is closed, after the socket has been removed.
type unixListener struct {
	net.Listener
	lock *os.File
}

// Close removes the socket and then the lock.
func (l *unixListener) Close() error {
	err := l.Listener.Close()
	if lockErr := l.lock.Close(); lockErr != nil && !errors.Is(lockErr, os.ErrClosed) {
		err = errors.Join(err, lockErr)
	}
	return err
}
