#!/bin/sh
# Makes every file beside it with OpenSSL 3. Run it in this directory; the keys are for these tests alone.
set -eu

key() { # name, algorithm and options
	name=$1; shift
	openssl genpkey -quiet "$@" -out "$name.key"
	openssl req -new -x509 -key "$name.key" -out "$name.crt" -days 36500 -sha256 -subj "/O=Example/CN=$name" \
		-addext "subjectAltName=email:$name@example.net" -addext "keyUsage=critical,digitalSignature,keyEncipherment"
}
key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
key other -algorithm RSA -pkeyopt rsa_keygen_bits:2048
key p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
key p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
key p521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521

# A key that cannot sign has its certificate from another.
for name in x25519 x448; do
	openssl genpkey -quiet -algorithm "$(echo $name | tr x X)" -out $name.key
	openssl pkey -in $name.key -pubout -out $name.pub
	printf 'keyUsage=critical,keyAgreement\nsubjectKeyIdentifier=hash\nsubjectAltName=email:%s@example.net\n' $name > $name.ext
	openssl req -new -key other.key -subj "/O=Example/CN=$name" | openssl x509 -req -CA other.crt -CAkey other.key \
		-force_pubkey $name.pub -days 36500 -sha256 -set_serial ${name#x} -extfile $name.ext -out $name.crt
	rm $name.pub $name.ext
done

printf 'Content-Type: text/plain\r\n\r\nThe quick brown fox\r\n' > content.txt

sign() { # output, signer, options
	out=$1; signer=$2; shift 2
	openssl cms -sign -binary -in content.txt -signer "$signer.crt" -inkey "$signer.key" -outform DER -out "$out.der" "$@"
}
sign signed-rsa rsa -nodetach
sign signed-p256 p256 -nodetach
sign signed-p384 p384 -nodetach -md sha384
sign signed-detached rsa
sign signed-stream rsa -nodetach -stream
sign signed-nocerts rsa -nodetach -nocerts
sign signed-keyid rsa -nodetach -keyid
sign signed-noattr rsa -nodetach -noattr
sign signed-sha1 rsa -nodetach -md sha1
sign signed-sha512 rsa -nodetach -md sha512
sign signed-md5 rsa -nodetach -md md5
sign signed-pss rsa -nodetach -keyopt rsa_padding_mode:pss
openssl cms -sign -binary -in content.txt -nodetach -signer rsa.crt -inkey rsa.key -signer p256.crt -inkey p256.key \
	-outform DER -out signed-two.der
openssl crl2pkcs7 -nocrl -certfile rsa.crt -certfile p256.crt -outform DER -out signed-certsonly.der

encrypt() { # output, options; the recipient is rsa
	out=$1; shift
	openssl cms -encrypt -binary -in content.txt -outform DER -out "$out.der" "$@"
}
encrypt enveloped-aes128 -aes128 rsa.crt
encrypt enveloped-aes192 -aes192 rsa.crt
encrypt enveloped-aes256 -aes256 rsa.crt
encrypt enveloped-stream -aes256 -stream rsa.crt
encrypt enveloped-keyid -aes256 -keyid rsa.crt
encrypt enveloped-two -aes256 other.crt rsa.crt
encrypt enveloped-kari -aes256 p256.crt
encrypt enveloped-kari-rsa -aes256 p256.crt rsa.crt
encrypt enveloped-oaep -aes256 -recip rsa.crt -keyopt rsa_padding_mode:oaep
encrypt enveloped-oaep256 -aes256 -recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256
encrypt enveloped-oaep256mgf1 -aes256 -recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt rsa_mgf1_md:sha1
encrypt enveloped-oaep512label -aes128 -recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha512 -keyopt rsa_mgf1_md:sha384 -keyopt rsa_oaep_label:6c6162656c
encrypt enveloped-des3 -des3 rsa.crt
encrypt enveloped-gcm -aes-256-gcm rsa.crt
