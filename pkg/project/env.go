package project

import "strings"

// travelling are the variables that make a program look or reach out as it does
// for the person. None of them is a secret or a way to one: no agents' sockets,
// keys, tokens.
var travelling = map[string]bool{
	"TERM": true, "COLORTERM": true, "TERM_PROGRAM": true, "TERM_PROGRAM_VERSION": true,
	"LANG": true, "LANGUAGE": true, "TZ": true,
	"NO_COLOR": true, "FORCE_COLOR": true, "CLICOLOR": true, "CLICOLOR_FORCE": true,

	"http_proxy": true, "https_proxy": true, "ftp_proxy": true, "all_proxy": true, "no_proxy": true,
	"HTTP_PROXY": true, "HTTPS_PROXY": true, "FTP_PROXY": true, "ALL_PROXY": true, "NO_PROXY": true,

	"SSL_CERT_FILE": true, "SSL_CERT_DIR": true, "CURL_CA_BUNDLE": true, "REQUESTS_CA_BUNDLE": true,
	"NODE_EXTRA_CA_CERTS": true, "GIT_SSL_CAINFO": true, "GIT_SSL_CAPATH": true, "AWS_CA_BUNDLE": true,
	"PIP_CERT": true,
}

// locales are the categories of locale(7): LC_ALL and its parts. Any other name
// that begins so is not the C library's, and OpenSSH's servers accept it from
// anywhere, so that people carry other things in it.
var locales = map[string]bool{
	"LC_ALL": true, "LC_ADDRESS": true, "LC_COLLATE": true, "LC_CTYPE": true, "LC_IDENTIFICATION": true,
	"LC_MEASUREMENT": true, "LC_MESSAGES": true, "LC_MONETARY": true, "LC_NAME": true, "LC_NUMERIC": true,
	"LC_PAPER": true, "LC_TELEPHONE": true, "LC_TIME": true,
}

// Environment returns the person's variables that a session takes along, in
// order; of a name that stands there twice, the first, as getenv(3) has it.
func Environment(environ []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, kv := range environ {
		name, _, ok := strings.Cut(kv, "=")
		if ok && (travelling[name] || locales[name]) && !seen[name] {
			seen[name] = true
			out = append(out, kv)
		}
	}
	return out
}
