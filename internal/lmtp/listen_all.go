package lmtp

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// ListenAll opens every socket of the list, or none.
func ListenAll(specs []string, mode os.FileMode) ([]net.Listener, error) {
	var list []net.Listener
	for _, spec := range specs {
		l, err := Listen(spec, mode)
		if err != nil {
			err = fmt.Errorf("listen on %q: %w", spec, err)
			for _, opened := range list {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}
