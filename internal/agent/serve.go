package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/lmtp"
)

// drainTime is how long running transactions may take once a stop was asked for.
const drainTime = 30 * time.Second

// A Control is how the process around a server tells it things.
type Control struct {
	Ready  func()           // called once every socket listens; may be nil
	Reload <-chan os.Signal // each value: read the configuration again; may be nil
}

// Serve runs the LMTP server of a configuration until ctx is done, then lets running transactions end.
func Serve(ctx context.Context, c *config.Config, log *slog.Logger, control Control) error {
	var s swap
	if err := s.load(c, log); err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	server := lmtp.NewServer(lmtp.Settings{
		Hostname:       hostname,
		MaxMessageSize: int64(c.LMTP.MaxMessageSize),
		AdvertiseSMIME: c.LMTP.AdvertiseSMIME,
		Spool:          SpoolSettings(c),
		IdleTimeout:    c.LMTP.IdleTimeout,
		DataTimeout:    c.LMTP.DataTimeout,
		MaxConnections: c.LMTP.MaxConnections,
		MaxPerClient:   c.LMTP.MaxConnectionsPerClient,
	}, &s, log)
	listeners, err := lmtp.ListenAll(c.LMTP.Listen, c.LMTP.SocketMode)
	if err != nil {
		return err
	}
	log.Info("listening", "sockets", c.LMTP.Listen, "authserv_id", c.AuthservID)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- server.Serve(l) }()
	}
	if control.Ready != nil {
		control.Ready()
	}
	for running := true; running; {
		select {
		case <-control.Reload:
			c = s.reload(c, log)
		case <-ctx.Done():
			running = false
		case err = <-failed:
			running = false
		}
	}
	log.Info("stopping")
	stop, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return errors.Join(err, server.Shutdown(stop))
}

// A swap is the Agent of the configuration in force. A transaction stays with the one it began with.
type swap struct{ agent atomic.Pointer[Agent] }

func (s *swap) Begin(ctx context.Context, peer lmtp.Peer, sender string) lmtp.Transaction {
	return s.agent.Load().Begin(ctx, peer, sender)
}

// load makes the Agent of a configuration and puts it in force, or leaves everything as it was.
func (s *swap) load(c *config.Config, log *slog.Logger) error {
	target, err := NewTarget(c)
	if err != nil {
		return err
	}
	a, err := New(c, Options{Target: target, Log: log})
	if err != nil {
		return err
	}
	if err := errors.Join(a.CheckKeys()...); err != nil {
		return err
	}
	for _, warning := range slices.Concat(c.Pending(), c.Warnings(), a.Warnings()) {
		log.Warn(warning)
	}
	s.agent.Store(a)
	return nil
}

// reload reads the file of old again. A bad file keeps old in force. It returns the configuration in force.
func (s *swap) reload(old *config.Config, log *slog.Logger) *config.Config {
	c, err := config.Load(old.File)
	if err == nil {
		err = s.load(c, log)
	}
	if err != nil {
		log.Error("configuration not reloaded, the old one stays in force", "file", old.File, "err", err)
		return old
	}
	if !reflect.DeepEqual(c.LMTP, old.LMTP) || c.Spool != old.Spool {
		log.Warn("changes of [lmtp] and [spool] take effect at the next start")
		c.LMTP, c.Spool = old.LMTP, old.Spool
	}
	log.Info("configuration reloaded", "file", c.File)
	return c
}
