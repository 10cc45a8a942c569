#!/bin/sh
# Makes the seeds that have no place in the repository, since they are binary, hold keys or bear dates:
# fuzz/seeds.sh TARGET FOLDER. A target whose seeds are all text gets none.
set -eu
target=$1 out=$2
rm -rf "$out"
mkdir -p "$out"
cd "$out"

# One message of a server: its type and, for printf, its body.
message() {
    # shellcheck disable=SC2059
    printf "$2" >body
    length=$(($(wc -c <body) + 4))
    # shellcheck disable=SC2059
    printf "$1\\000\\000\\$(printf %03o $((length / 256)))\\$(printf %03o $((length % 256)))"
    cat body
    rm body
}

wire_backend_messages() {
    {
        printf '\003\007'
        message R '\000\000\000\000'
        message S 'server_version\00018.1\000'
        message K '\000\000\000\001\000\000\000\002'
        message Z I
    } >let_in
    {
        printf '\001\100'
        message v '\000\003\000\002\000\000\000\001_pq_.x\000'
        message N 'SHINWEIS\000VNOTICE\000C00000\000Mhallo\000\000'
        message E 'SFATAL\000VFATAL\000C28P01\000Mno\001 such\000Dd\000Hh\000Fauth.c\000L335\000Rauth_failed\000\000'
    } >refused
    printf '\005\005HTTP/1.1 400 Bad Request\r\n\r\n' >web_server
    { printf '\002\002'; message R '\000\000\000\012SCRAM-SHA-256-PLUS\000SCRAM-SHA-256\000\000'; printf 'E\377\377\377\377'; } >length
}

wire_authentication() {
    for code in 000 003 007 011; do printf '\000\000\000'"\\$code" >"code_$code"; done
    printf '\000\000\000\005salt' >md5
    printf '\000\000\000\012SCRAM-SHA-256-PLUS\000SCRAM-SHA-256\000OAUTHBEARER\000\000' >sasl
    printf '\000\000\000\013r=@more,s=c2FsdA==,i=99\nv=c2lnbmF0dXJl' >scram
    printf '\000\000\000\013r=@,s=c2FsdA==,i=1\ne=other-error' >scram_error
    printf '\000\000\000\014v=c2lnbmF0dXJl' >final
}

# A self-signed certificate: its name, the kind of its key, then what openssl req wants.
certificate() {
    name=$1 kind=$2
    shift 2
    # Word splitting is meant.
    # shellcheck disable=SC2086
    openssl req -x509 -newkey $kind -nodes -days 30 -keyout "$name.key" -out "$name.pem" "$@" 2>/dev/null
}

certificates() {
    command -v openssl >/dev/null 2>&1 || { echo "seeds: openssl is needed to make certificates" >&2 && exit 1; }
    p256='ec -pkeyopt ec_paramgen_curve:P-256'
    certificate server "$p256" -subj /CN=db.example.org \
        -addext 'subjectAltName=DNS:db.example.org,DNS:*.example.org,IP:10.0.0.1,IP:::1,email:a@example.org,URI:x:y,dirName:there' \
        -addext 'keyUsage=critical,digitalSignature' -addext 'extendedKeyUsage=serverAuth,clientAuth' \
        -addext 'basicConstraints=critical,CA:FALSE' -config config
    certificate authority "$p256" -subj '/C=DE/O=Example+OU=A\, B/CN=Example CA' \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:1' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -addext 'nameConstraints=critical,permitted;DNS:example.org,excluded;IP:10.0.0.0/255.0.0.0' -config config
    certificate rsa rsa:2048 -sha384 -subj '/CN=rsa/emailAddress=a@example.org' -addext nsCertType=server -config config
    certificate pss rsa:2048 -sigopt rsa_padding_mode:pss -subj /CN=pss -config config
    certificate ed25519 ed25519 -subj /CN=10.0.0.1 -config config
    openssl req -new -key server.key -subj /CN=old -config config -out request 2>/dev/null
    openssl x509 -req -in request -signkey server.key -days 30 -out version_1.pem 2>/dev/null
    openssl x509 -req -in request -CA authority.pem -CAkey authority.key -days 30 -set_serial -77 -out issued.pem 2>/dev/null
}

config() {
    printf '[req]\ndistinguished_name=name\n[name]\n[there]\nO=Example\n' >config
}

pki_certificate() {
    config
    certificates
    for one in *.pem; do openssl x509 -in "$one" -outform der -out "${one%.pem}"; done
    rm -f ./*.pem ./*.key ./request ./config ./*.srl
}

pki_bundle() {
    config
    certificates
    between='====='
    openssl pkcs8 -topk8 -in server.key -passout pass:x -out encrypted.key
    openssl rsa -in rsa.key -traditional -out pkcs1.key 2>/dev/null
    openssl ec -in server.key -out sec1.key 2>/dev/null
    { cat server.pem; echo "a line of text"; cat authority.pem server.key; } >chain
    { cat issued.pem sec1.key; echo "$between"; cat pkcs1.key version_1.pem; } >two_keys
    { cat encrypted.key; echo "$between"; openssl x509 -in authority.pem -text; } >text
    { openssl ecparam -name prime256v1; sed 's/$/\r/' issued.pem; echo "$between"; cat ed25519.pem ed25519.key; } >crlf
    { sed 's/CERTIFICATE/X509 CERTIFICATE/' issued.pem; echo "$between"; sed 4d issued.pem; } >damaged
    openssl pkcs12 -export -inkey server.key -in server.pem -passout pass: -out pkcs12
    openssl x509 -in issued.pem -outform der -out der
    rm -f ./*.pem ./*.key ./request ./config ./*.srl
}

case $target in
wire_backend_messages | wire_authentication | pki_certificate | pki_bundle) "$target" ;;
esac
