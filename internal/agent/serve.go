package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"paperknife/internal/config"
	"paperknife/internal/lmtp"
)

// drainTime is how long running transactions may take once a stop was asked for.
const drainTime = 30 * time.Second

// Serve runs the LMTP server of a configuration until ctx is done, then lets running transactions end. ready, if not nil, is
// called once every socket listens.
func Serve(ctx context.Context, c *config.Config, log *slog.Logger, ready func()) error {
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
	for _, warning := range a.Warnings() {
		log.Warn(warning)
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
	}, a, log)
	listeners, err := lmtp.ListenAll(c.LMTP.Listen, c.LMTP.SocketMode)
	if err != nil {
		return err
	}
	log.Info("listening", "sockets", c.LMTP.Listen, "authserv_id", c.AuthservID)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- server.Serve(l) }()
	}
	if ready != nil {
		ready()
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	log.Info("stopping")
	stop, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return errors.Join(err, server.Shutdown(stop))
}
