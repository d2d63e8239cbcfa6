// Package config reads paperknife.toml. The structs below are its manual: one field a key, the comment says what it
// does, what it may be and what it is when the file does not say. The package reads that one file and nothing else:
// whether keys, anchors and sockets are there is for those who open them to find out.
package config

import (
	"os"
	"time"
)

// A Config is one configuration. Every key has a default; a file with the first [[domain]] and [trust] is enough to
// run. Relative paths are relative to the directory of the file, and are absolute here.
type Config struct {
	// File is where the configuration was read from, empty for Default.
	File string `toml:"-"`

	// AuthservID is the name under which we write Authentication-Results (RFC 8601 section 2.5). Received fields that
	// carry it are removed, so no other filter of this site may use it. Default: "paperknife." and the host's name.
	AuthservID string `toml:"authserv_id"`
	// TrustedAuthservIDs are the names of filters before us whose fields stay. Default: none.
	TrustedAuthservIDs []string `toml:"trusted_authserv_ids"`

	// Compat says what becomes of S/MIME that known senders write against the standards, as AES-GCM in an EnvelopedData or
	// smime.p7m as application/octet-stream: "lenient" reads it and names each deviation in the log and in explain,
	// "strict" delivers it as it came. Default: "lenient".
	Compat string `toml:"compat" enum:"lenient strict"`

	LMTP     LMTP      `toml:"lmtp"`
	Filter   Filter    `toml:"filter"`
	Spool    Spool     `toml:"spool"`
	Domains  []Domain  `toml:"domain"`
	Trust    Trust     `toml:"trust"`
	Partners []Partner `toml:"partner"`
	MUA      MUA       `toml:"mua"`
	Verify   Verify    `toml:"verify"`
	Policy   Policy    `toml:"policy"`
	Deliver  Deliver   `toml:"deliver"`
	DNS      DNS       `toml:"dns"`
	Admin    Admin     `toml:"admin"`

	written map[string]bool `toml:"-"` // keys that stand in the file
}

// LMTP is [lmtp]: the server side of lmtpd.
type LMTP struct {
	// Listen are the sockets: "unix:/path" or "address:port". Whoever can write to one can have mail opened and
	// delivered. Default: "unix:/run/paperknife/lmtp.sock".
	Listen []string `toml:"listen"`
	// SocketMode is the mode of unix sockets. Default: "0660", owner and group, which should be the MTA's.
	SocketMode os.FileMode `toml:"socket_mode"`
	// MaxMessageSize is announced as SIZE and enforced. Default: "256MiB".
	MaxMessageSize Size `toml:"max_message_size"`
	// AdvertiseSMIME says SMIME in the reply to LHLO. Default: true.
	AdvertiseSMIME bool `toml:"advertise_smime"`
	// MaxConnections at one time; the next is answered 421. Default: 500.
	MaxConnections int `toml:"max_connections"`
	// MaxConnectionsPerClient likewise, of one client address on a TCP socket; on a unix socket there is no such limit. Default: 100.
	MaxConnectionsPerClient int `toml:"max_connections_per_client"`
	// IdleTimeout ends a connection that sends nothing. Default: "5m", the least that RFC 5321 section 4.5.3.2 allows.
	IdleTimeout time.Duration `toml:"idle_timeout"`
	// DataTimeout ends a connection that takes longer over a message; each 16 MiB that have come earn another. Default: "30m".
	DataTimeout time.Duration `toml:"data_timeout"`
}

// Filter is [filter]: what concerns deliver-filter.
type Filter struct {
	// Listen is the socket on which lmtpd serves deliver-filter -connect, "unix:/path". Default: "", none.
	Listen string `toml:"listen"`
	// TrustedUsers may deliver for every recipient through that socket; others only for themselves. Default: none.
	TrustedUsers []string `toml:"trusted_users"`
	// Deadline for one message; after it the MTA is told to try again. Keep it under the MTA's own limit, which is
	// 1000s in Postfix (command_time_limit). Default: "10m".
	Deadline time.Duration `toml:"deadline"`
}

// Spool is [spool]: where a message stays while we work on it.
type Spool struct {
	// Dir holds unlinked files with mode 0600. Default: "/var/tmp".
	Dir string `toml:"dir"`
	// Memory is kept of each message before a file is used. Default: "256KiB".
	Memory Size `toml:"memory"`
}

// A Domain is one [[domain]]: a domain of ours, whose mail is opened with its keys and with no other's.
type Domain struct {
	// Name of the domain; its subdomains are domains of their own.
	Name string `toml:"name"`
	// Keys that open mail for the domain, the current one first, retired ones after it.
	Keys []Key `toml:"keys"`
}

// A Key is one of a domain's keys: cert and key, or pkcs12, or pkcs11 with or without cert. Keys are RSA, on P-256, P-384 or P-521, X25519,
// X448, or ML-KEM with its seed.
type Key struct {
	// Cert and Key are PEM files that belong together.
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
	// PKCS12 is a file that holds both. It is decrypted each time a process starts, which PEM is not.
	PKCS12 string `toml:"pkcs12"`
	// PasswordFile holds the password of the PKCS12 file in its one line. Default: "", the password is empty.
	PasswordFile string `toml:"password_file"`
	// PKCS11 is the RFC 7512 URI of a key in a token, "pkcs11:token=T;object=O?module-path=/usr/lib/LIBRARY.so", with
	// pin-source=/FILE for the PIN. The certificate is the one beside it in the token, unless Cert names a file. Only
	// programs built with the tag pkcs11 have tokens.
	PKCS11 string `toml:"pkcs11"`
}

// Trust is [trust]: who may vouch for whom.
type Trust struct {
	// DomainAnchors are files of certificates whose holders may issue domain-signing certificates. Default: none, so
	// that no domain's signature is trusted.
	DomainAnchors []string `toml:"domain_anchors"`
	// PersonAnchors likewise for the certificates of persons. Default: none.
	PersonAnchors []string `toml:"person_anchors"`
	// Naming are the profiles by which a domain certificate may name its domain: melnikov, rfc3183, direct,
	// public-br, pinned. Default: melnikov.
	Naming []string `toml:"naming" enum:"melnikov rfc3183 direct public-br pinned"`
	// CRLDir is a directory of revocation lists. Default: "", none.
	CRLDir string `toml:"crl_dir"`
}

// A Partner is one [[partner]]: exceptions for mail from one domain.
type Partner struct {
	// Domain is the sender's.
	Domain string `toml:"domain"`
	// Unauthenticated says what happens to content that was encrypted but that no signature covers: "gated" releases
	// it when it is plainly undamaged text, "keep" never does, "release" does when the message is vouched for by a
	// signature in its header. Default: "gated".
	Unauthenticated string `toml:"unauthenticated" enum:"gated keep release"`
}

// MUA is [mua]: what the recipients' mail readers can show. The classes are "received" (touch nothing), "capable"
// (S/MIME of the originator stays), "unknown" and "incapable" (all S/MIME that can come off does).
type MUA struct {
	// Default is the class of recipients not named below. Default: "unknown".
	Default string `toml:"default" enum:"received capable unknown incapable"`
	// Users are classes by address, compared without regard to case. Default: none.
	Users map[string]string `toml:"users" enum:"received capable unknown incapable"`
}

// Verify is [verify]: which signatures in header fields are verified. Default: all.
type Verify struct {
	DKIM     bool `toml:"dkim"`
	ARC      bool `toml:"arc"`
	Meta     bool `toml:"meta"`
	MTAS     bool `toml:"mtas"`
	Userkeys bool `toml:"userkeys"`
	E2E      bool `toml:"e2e"`
	// LegacySHA1 is what a good SHA-1 signature is worth: "policy" or "pass", one for all systems or by system, as in
	// { meta = "pass" }. It never counts for S/MIME. Default: "policy".
	LegacySHA1 LegacySHA1 `toml:"legacy_sha1"`
}

// Policy is [policy]: what is done about what was found.
type Policy struct {
	// Enforce is the most that may be done: "report" in Authentication-Results, "mark" for the user, "quarantine",
	// "reject". Default: "report".
	Enforce string `toml:"enforce" enum:"report mark quarantine reject"`
	// The same for one system. Default: what Enforce says.
	Domsec   SystemPolicy `toml:"domsec"`
	E2E      SystemPolicy `toml:"e2e"`
	Meta     SystemPolicy `toml:"meta"`
	MTAS     SystemPolicy `toml:"mtas"`
	Userkeys SystemPolicy `toml:"userkeys"`
	// KeepOriginal is a Maildir for the originals of messages that are delivered altered. Default: "", off.
	KeepOriginal string `toml:"keep_original"`
	// Quarantine is the Maildir for messages that are not delivered. Default: "quarantine".
	Quarantine string `toml:"quarantine"`
	// Replay is what happens when a ciphertext comes again for another recipient: "off", "alarm" in log and metrics,
	// "withhold" delivers it as received. Default: "alarm".
	Replay string `toml:"replay" enum:"off alarm withhold"`
}

// A SystemPolicy is [policy.SYSTEM].
type SystemPolicy struct {
	Enforce string `toml:"enforce" enum:"report mark quarantine reject"`
}

// Deliver is [deliver]: where lmtpd puts the mail. deliver-filter takes its target from the command line.
type Deliver struct {
	// Target is "maildir" or "lmtp". Default: "maildir".
	Target string `toml:"target" enum:"maildir lmtp"`
	// Maildir is the path of a recipient's Maildir, with {domain}, {local}, {detail} and {home} filled in. Default:
	// "mail/{domain}/{local}".
	Maildir string `toml:"maildir"`
	// LMTP are the servers of the target "lmtp", in order of preference. Default: "unix:/run/dovecot/lmtp".
	LMTP []string `toml:"lmtp"`
	// Final says that an LMTP server on another host is the last hop; without it none may be named. Default: false.
	Final bool `toml:"final"`
	// Users says which recipients there are: "any" (the MTA has checked), "passwd", "file:PATH", "dovecot:SOCKET".
	// Default: "any".
	Users string `toml:"users"`
	// RecipientDelimiter sets off the detail of an address, user+detail; empty: none. Default: "+".
	RecipientDelimiter string `toml:"recipient_delimiter"`
}

// DNS is [dns].
type DNS struct {
	// Server is "address:port" of a resolver. Default: "", those of the system.
	Server string `toml:"server"`
	// ZoneFiles are answered from before any query is sent. Default: none.
	ZoneFiles []string `toml:"zone_files"`
}

// Admin is [admin]: metrics and the status page.
type Admin struct {
	// Listen is "address:port" or "unix:/path". Default: "", off.
	Listen string `toml:"listen"`
}

// Default returns the configuration of an empty file. Its relative paths are still relative.
func Default() *Config {
	return &Config{
		AuthservID: defaultAuthservID(),
		Compat:     "lenient",
		LMTP: LMTP{
			Listen:                  []string{"unix:/run/paperknife/lmtp.sock"},
			SocketMode:              0o660,
			MaxMessageSize:          256 << 20,
			AdvertiseSMIME:          true,
			MaxConnections:          500,
			MaxConnectionsPerClient: 100,
			IdleTimeout:             5 * time.Minute,
			DataTimeout:             30 * time.Minute,
		},
		Filter: Filter{Deadline: 10 * time.Minute},
		Spool:  Spool{Dir: "/var/tmp", Memory: 256 << 10},
		Trust:  Trust{Naming: []string{"melnikov"}},
		MUA:    MUA{Default: "unknown"},
		Verify: Verify{DKIM: true, ARC: true, Meta: true, MTAS: true, Userkeys: true, E2E: true},
		Policy: Policy{Enforce: "report", Quarantine: "quarantine", Replay: "alarm"},
		Deliver: Deliver{
			Target:             "maildir",
			Maildir:            "mail/{domain}/{local}",
			LMTP:               []string{"unix:/run/dovecot/lmtp"},
			Users:              "any",
			RecipientDelimiter: "+",
		},
	}
}

// defaultElement fills in the defaults of a new element of a list of tables.
func defaultElement(v any) {
	if p, ok := v.(*Partner); ok {
		p.Unauthenticated = "gated"
	}
}

// defaultAuthservID must be a token whatever the host is called.
func defaultAuthservID() string {
	host, err := os.Hostname()
	if err != nil || !isToken(host) {
		host = "localhost"
	}
	return "paperknife." + host
}
