#!/bin/sh
# The filter a postmaster puts together today: openssl decrypts, openssl verifies, the outer header and the inner entity
# are the message again. CERT, KEY and ANCHORS name the files; the arguments are the delivery agent, if there is one.
# It looks at no name in the certificate and syncs nothing.
work=$(mktemp -d) || exit 75
trap 'rm -rf "$work"' EXIT
cat >"$work/received" || exit 75
entity=$work/received sealed=no result=fail
if openssl cms -decrypt -in "$entity" -recip "$CERT" -inkey "$KEY" -out "$work/opened" 2>/dev/null; then
	entity=$work/opened sealed=yes
fi
if openssl cms -verify -in "$entity" -CAfile "$ANCHORS" -out "$work/verified" 2>/dev/null; then
	entity=$work/verified result=pass
fi
{
	echo "Authentication-Results: mx.example.net; smime=$result; x-sealed=$sealed"
	awk '{ sub(/\r$/, "") }
		$0 == "" { exit }
		!/^[ \t]/ { drop = tolower($0) ~ /^(content-[a-z-]*|mime-version):/ }
		!drop' "$work/received"
	tr -d '\r' <"$entity"
} >"$work/message" || exit 75
if [ $# -gt 0 ]; then
	"$@" <"$work/message"
else
	cat "$work/message"
fi
