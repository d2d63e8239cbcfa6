// Package agent holds the order of the steps a message goes through, written once for the server and the filter:
//
//	receive -> spool -> verifyhdr -> unwrap -> judge -> policy -> deliver -> status
//
// The first and the last word belong to internal/lmtp and internal/filter, which call it. It decides nothing itself,
// and it turns every fault of ours, panics included, into "try again later".
package agent

import (
	"log/slog"
	"time"

	"paperknife/deliver"
	"paperknife/internal/keys"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/trust"
)

// An Agent takes messages of any number of transactions at once. It is made from the configuration by New.
type Agent struct {
	policy     policy.Settings
	spool      spool.Settings
	strict     bool                  // compat
	rings      map[string]*keys.Ring // by recipient domain, A-label
	firstRing  *keys.Ring            // of the first domain, for recipients that are not known
	trust      *trust.Store
	target     deliver.Target
	quarantine deliver.Target          // nil: none configured
	original   deliver.Target          // nil: keep_original is off
	classes    map[string]policy.Class // by classKey
	class      policy.Class            // default
	delimiter  string
	warnings   []string // found while loading
	log        *slog.Logger
	now        func() time.Time
}
