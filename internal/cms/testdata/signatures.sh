#!/bin/sh
# Makes the files of signature algorithms beyond those of make.sh, with OpenSSL 3 and GnuTLS. Run it in this directory, after
# make.sh; the keys are for these tests alone.
set -eu

certificate() { # name
	openssl req -new -x509 -key "$1.key" -out "$1.crt" -days 36500 -subj "/O=Example/CN=$1" \
		-addext "subjectAltName=email:$1@example.net" -addext "keyUsage=critical,digitalSignature"
}
openssl genpkey -quiet -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out psskey.key
certificate psskey
openssl genpkey -quiet -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 \
	-pkeyopt rsa_pss_keygen_mgf1_md:sha256 -pkeyopt rsa_pss_keygen_saltlen:32 -out pssbound.key
certificate pssbound
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out rsa3072.key
certificate rsa3072
openssl genpkey -quiet -algorithm ed25519 -out ed25519.key
certificate ed25519

for curve in brainpoolP256r1 brainpoolP384r1 brainpoolP512r1; do
	openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:$curve -pkeyopt ec_param_enc:named_curve -out $curve.key
	certificate $curve
done
openssl genpkey -quiet -algorithm ed448 -out ed448.key
certificate ed448

pss() { # output, signer, options
	out=$1; signer=$2; shift 2
	openssl cms -sign -binary -nodetach -in content.txt -signer "$signer.crt" -inkey "$signer.key" -outform DER -out "$out.der" \
		-keyopt rsa_padding_mode:pss "$@"
}
pss pss-sha256 rsa -keyopt rsa_pss_saltlen:32
pss pss-sha384 rsa -md sha384 -keyopt rsa_pss_saltlen:48
pss pss-sha512 rsa -md sha512 -keyopt rsa_pss_saltlen:max
pss pss-sha1 rsa -md sha1 -keyopt rsa_pss_saltlen:20
pss pss-nosalt rsa -keyopt rsa_pss_saltlen:0
pss pss-mgf1sha1 rsa -keyopt rsa_mgf1_md:sha1 -keyopt rsa_pss_saltlen:20
pss pss-mgf1sha512 rsa -keyopt rsa_mgf1_md:sha512 -keyopt rsa_pss_saltlen:64
pss pss-noattr rsa -noattr
pss pss-3072 rsa3072 -keyopt rsa_mgf1_md:sha384
pss pss-key psskey
pss pss-bound pssbound
certtool --p7-sign --p7-time --load-privkey ed25519.key --load-certificate ed25519.crt --infile content.txt --outder \
	--outfile ed25519.der
certtool --p7-sign --load-privkey psskey.key --load-certificate psskey.crt --hash sha384 --infile content.txt --outder \
	--outfile pss-gnutls.der
ecdsa() { # curve, options
	curve=$1; shift
	openssl cms -sign -binary -nodetach -in content.txt -signer "$curve.crt" -inkey "$curve.key" -outform DER \
		-out "$curve.der" "$@"
}
ecdsa brainpoolP256r1
ecdsa brainpoolP384r1 -md sha384
ecdsa brainpoolP512r1 -md sha512
