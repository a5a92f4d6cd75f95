#!/bin/bash
# Makes the certificates of the tests anew, in this folder. They were made once and are committed, so
# that the tests need no openssl. Valid from 2020 to 2120, but for expired.pem. The keys of both
# authorities are thrown away. Nothing but the tests may ever trust any of these.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index"
cat >"$work/openssl.cnf" <<END
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = ca
[ca]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
END
sign() { # request, extensions, output, from, to, then who signs
  local request=$1 extensions=$2 output=$3 from=$4 to=$5
  shift 5
  openssl ca -batch -notext -config "$work/openssl.cnf" -in "$request" -extfile "$extensions" \
    -out "$output" -startdate "$from" -enddate "$to" "$@" 2>/dev/null
}
request() { # key, common name
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
  openssl req -new -config "$work/openssl.cnf" -key "$1" -subj "/CN=$2" -out "$work/request"
}
authority() { # name, common name
  request "$work/$1.key" "$2"
  printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' \
    >"$work/extensions"
  sign "$work/request" "$work/extensions" "$1.pem" 20200101000000Z 21200101000000Z \
    -selfsign -keyfile "$work/$1.key"
}
leaf() { # name, authority, alternative names, end
  request "$1.key" "$1"
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" \
    >"$work/extensions"
  sign "$work/request" "$work/extensions" "$1.pem" 20200101000000Z "${4:-21200101000000Z}" \
    -cert "$2.pem" -keyfile "$work/$2.key"
}
here=DNS:localhost,IP:127.0.0.1
authority ca 'Holdfast tests'
authority other-ca 'Somebody else'
leaf server ca "$here"
leaf renewed ca "$here"
leaf member ca DNS:node-1,DNS:node-2,DNS:node-3,DNS:a,DNS:b
leaf nameless ca DNS:nowhere.invalid
leaf stranger other-ca "$here"
leaf expired ca "$here" 20200102000000Z
chmod 644 ./*.key
