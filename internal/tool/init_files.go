package tool

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paperknife/seal"
)

// newFiles are files that come into being together or not at all.
type newFiles struct {
	dir   string
	files []newFile
}

type newFile struct {
	name string
	mode fs.FileMode
	data []byte
}

func (n *newFiles) add(name string, mode fs.FileMode, data []byte) error {
	n.files = append(n.files, newFile{name, mode, data})
	return nil
}

func (n *newFiles) addPair(pair seal.KeyPair, certificate, key string) error {
	data, err := pair.KeyPEM()
	if err != nil {
		return err
	}
	return errors.Join(n.add(certificate, modeFile, pair.CertificatePEM()), n.add(key, modeKey, data))
}

// free returns an error that says which of the names are taken.
func (n *newFiles) free(names ...string) error {
	var taken []string
	for _, name := range names {
		path := filepath.Join(n.dir, name)
		switch _, err := os.Lstat(path); {
		case err == nil:
			taken = append(taken, path)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if len(taken) > 0 {
		return fmt.Errorf("nothing was made, since there is already: %s", strings.Join(taken, ", "))
	}
	return nil
}

// commit writes the files, synced, into a directory of their own. It becomes the new directory in one step; from it to
// one that is there each file is linked, which never replaces, and an error takes back what was linked.
func (n *newFiles) commit() (err error) {
	parent, there := filepath.Dir(n.dir), true
	if _, err := os.Lstat(n.dir); errors.Is(err, fs.ErrNotExist) {
		there = false
	}
	if there {
		parent = n.dir // another may not be writable, or be another file system
	}
	made, err := makeAll(parent)
	defer func() {
		if err != nil {
			removeDirs(made)
		}
	}()
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp(parent, ".paperknife-init-")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(stage); gone != nil {
			err = errors.Join(err, gone)
		}
	}()
	if err := os.Chmod(stage, 0o750); err != nil {
		return err
	}
	for _, f := range n.files {
		if err := f.write(stage); err != nil {
			return err
		}
	}
	if err := syncDir(stage); err != nil {
		return err
	}
	if there {
		return n.link(stage)
	}
	if err := os.Rename(stage, n.dir); err != nil {
		return err
	}
	return syncDir(parent)
}

func (n *newFiles) link(stage string) error {
	for i, f := range n.files {
		if err := os.Link(filepath.Join(stage, f.name), filepath.Join(n.dir, f.name)); err != nil {
			for _, linked := range n.files[:i] {
				err = errors.Join(err, os.Remove(filepath.Join(n.dir, linked.name)))
			}
			return err
		}
	}
	return syncDir(n.dir)
}

func (f newFile) write(dir string) (err error) {
	file, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(f.data); err != nil {
		return err
	}
	return errors.Join(file.Chmod(f.mode), file.Sync()) // whatever the umask is
}

// makeAll makes a directory and those above it, and returns the ones it made, deepest last.
func makeAll(dir string) (made []string, err error) {
	var missing []string
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return nil, err
		}
		missing = append(missing, dir)
	}
	for _, dir := range slices.Backward(missing) {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		} else if err == nil {
			made = append(made, dir)
		}
	}
	return made, nil
}

func removeDirs(made []string) {
	for _, dir := range slices.Backward(made) {
		_ = os.Remove(dir) // somebody may have put something there meanwhile
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// onlyFor limits what a CA can issue to names of the domain (RFC 5280 section 4.2.1.10), so that a partner who trusts
// it trusts it for nobody else.
func onlyFor(domain string) func(*x509.Certificate) {
	both := []string{domain, "." + domain} // the hosts and the sub-domains, which URI and e-mail names tell apart
	return func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical = true
		c.PermittedDNSDomains = []string{domain}
		c.PermittedURIDomains = both
		c.PermittedEmailAddresses = both
	}
}
