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

# A handshake message of TLS: its type in octal and, for printf, its body.
tls_message() {
    # shellcheck disable=SC2059
    printf "$2" >body
    length=$(wc -c <body)
    # shellcheck disable=SC2059
    printf "\\$1\\000\\$(printf %03o $((length / 256)))\\$(printf %03o $((length % 256)))"
    cat body
    rm body
}

# One record of TLS: its type in octal; its content is read.
tls_record() {
    cat >content
    length=$(wc -c <content)
    # shellcheck disable=SC2059
    printf "\\$1\\003\\003\\$(printf %03o $((length / 256)))\\$(printf %03o $((length % 256)))"
    cat content
    rm content
}

random='0123456789abcdef0123456789abcdef'
retry='\317\041\255\164\345\232\141\021\276\035\214\002\036\145\270\221\302\242\021\026\172\273\214\136\007\236\011\342\310\250\063\234'
# renegotiation_info, extended_master_secret, encrypt_then_mac, session_ticket, status_request, ALPN.
extensions='\000\046\377\001\000\001\000\000\027\000\000\000\026\000\000\000\043\000\000\000\005\000\000\000\020\000\015\000\013\012postgresql'

wire_server_hello() {
    printf '\377\003\003'"$random"'\000\300\053\000' >bare
    printf '\001\003\003'"$random"'\004name\000\057\001'"$extensions" >extended
    printf '\377\003\003'"$retry"'\000\023\002\000\000\014\000\053\000\002\003\004\000\063\000\002\000\035' >retry
}

# Two certificates that are none, and one that is.
wire_certificate_message() {
    printf '\377\000\000\012\000\000\003one\000\000\001x' >none
    config
    certificates
    openssl x509 -in issued.pem -outform der -out der
    length=$(wc -c <der)
    # shellcheck disable=SC2059
    {
        printf "\\377\\000\\$(printf %03o $(((length + 3) / 256)))\\$(printf %03o $(((length + 3) % 256)))"
        printf "\\000\\$(printf %03o $((length / 256)))\\$(printf %03o $((length % 256)))"
        cat der
    } >issued
    rm -f ./*.pem ./*.key ./request ./config ./*.srl der
}

wire_tls_flight() {
    {
        printf '\007\003'
        {
            tls_message 002 '\003\003'"$random"'\000\300\053\000'"$extensions"
            tls_message 013 '\000\000\006\000\000\003one'
            tls_message 014 '\003\000\027\004key!\004\003\000\002ok'
            tls_message 015 '\001\100\000\002\004\003\000\006\000\0040\0020\000'
            tls_message 016 ''
        } | tls_record 026
    } >flight
    { printf '\001\002'; tls_message 002 '\003\003'"$retry"'\000\023\002\000\000\014\000\053\000\002\003\004\000\063\000\002\000\035' | tls_record 026; } >retry
    { printf '\002\001'; printf '\002\106' | tls_record 025; } >alert
    printf '\001\001\200\056\004\000\001\000\002' >ssl2
    printf '\005\005HTTP/1.1 400 Bad Request\r\n\r\n' >web_server
}

wire_scan_conversation() {
    # Whole: TLS 1.3 with a retry each time, then refusals.
    printf '\000\000\007\006\003\001\000\000\007\006\001\002\000\000\007\006\000\000\000' >whole
    printf '\001\000\007\001\000\000\000\000' >quick
    printf '\002\000\001\000\001\003\004\000\000\000\000\000\002' >without
}

case $target in
wire_backend_messages | wire_authentication | wire_certificate_message | wire_scan_conversation | wire_server_hello | \
    wire_tls_flight | pki_certificate | pki_bundle) "$target" ;;
esac
