package tool

import (
	"path/filepath"
	"strings"
)

// maxSocketPath is what sun_path holds on Linux, less the final zero.
const maxSocketPath = 107

// configText is the configuration of a new installation. Every line of it is in force or a comment.
func configText(dir, domain string) string {
	socket := "unix:lmtp.sock"
	if len(filepath.Join(dir, "lmtp.sock")+".lock") > maxSocketPath {
		socket = "unix:/run/paperknife/lmtp.sock"
	}
	return strings.NewReplacer("DOMAIN", domain, "SOCKET", socket).Replace(configTemplate)
}

const configTemplate = `# Paperknife for DOMAIN. Made by "paperknife init".
# Relative paths start at the directory of this file. After a change: paperknife check -config FILE

# Our name in Authentication-Results. Received fields that carry it are removed, so no other filter may use it.
authserv_id = "paperknife.DOMAIN"

[lmtp]
# Where lmtpd listens. As a service: "unix:/run/paperknife/lmtp.sock". For Postfix, whose lmtp client is chrooted:
# "unix:/var/spool/postfix/paperknife/lmtp.sock", and in main.cf: virtual_transport = lmtp:unix:paperknife/lmtp.sock
listen = ["SOCKET"]

# The domain whose mail is opened. A new key goes first; the old one stays after it for the mail that is under way.
[[domain]]
name = "DOMAIN"
keys = [{ cert = "dca.pem", key = "dca.key" }]

[trust]
# The CA certificates that may vouch for domains. Ours is here so that you can send sealed mail to yourself; add those
# of your partners: ["ca.pem", "partner-ca.pem"]. Files hold one certificate or many.
domain_anchors = ["ca.pem"]
# The CA certificates that may vouch for persons. None: a person's signature is verified but never passes.
person_anchors = []

[mua]
# What is delivered. "received" changes nothing but Authentication-Results: begin here. Once a test mail shows the
# results you expect, raise it to "unknown": S/MIME that the readers of mail cannot show comes off. Single users:
# users = { "erin@DOMAIN" = "capable" }
default = "received"

[deliver]
# A Maildir for each recipient. Paperknife makes what is missing.
maildir = "mail/{domain}/{local}"
`
