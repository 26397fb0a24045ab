package accounts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// Bounds of an address, in bytes (RFC 5321 section 4.5.3.1).
const (
	maxAddress = 254
	maxLocal   = 64
)

// Email is an address in its two forms.
type Email struct {
	// Canonical is the form by which accounts are told apart: Unicode's NFKC and case
	// folding for the part before the @, which must then be a PRECIS identifier, and
	// the ASCII form of the domain behind it.
	Canonical string
	// Shown is the address as it was given, composed, with the domain in small letters.
	Shown string
}

// domains maps a domain as browsers do (UTS 46), and refuses what DNS can't have.
var domains = idna.New(idna.MapForLookup(), idna.ValidateLabels(true), idna.CheckHyphens(true), idna.CheckJoiners(true),
	idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(true))

// ParseEmail reads an address of the form name@domain. Quoted names, comments,
// display names and addresses of IP literals are not taken: mail systems differ
// on what they mean, and nobody registers with them.
func ParseEmail(address string) (Email, bool) {
	address = strings.Trim(address, " ")
	if len(address) > maxAddress || !utf8.ValidString(address) {
		return Email{}, false
	}
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return Email{}, false
	}
	local, ok := canonicalLocal(address[:at])
	if !ok {
		return Email{}, false
	}
	domain, ok := canonicalDomain(address[at+1:])
	if !ok || len(local)+1+len(domain) > maxAddress {
		return Email{}, false
	}
	readable, err := domains.ToUnicode(domain)
	if err != nil {
		return Email{}, false
	}
	return Email{Canonical: local + "@" + domain, Shown: norm.NFC.String(address[:at]) + "@" + readable}, true
}

// identifiers takes what PRECIS allows in an identifier (RFC 8264 section 4.2). It
// refuses what nobody sees: variation selectors, fillers, joiners and all else that
// Unicode lets a reader ignore. Two addresses that look the same because of them
// would be two accounts.
var identifiers = precis.NewIdentifier()

// canonicalLocal folds the part before the @. It is what RFC 5322 calls a
// dot-atom, with the letters of RFC 6531.
func canonicalLocal(local string) (string, bool) {
	folded := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(local)))
	if len(folded) > maxLocal || len(local) > maxLocal {
		return "", false
	}
	if allowed, err := identifiers.String(folded); err != nil || allowed != folded {
		return "", false
	}
	if strings.HasPrefix(folded, ".") || strings.HasSuffix(folded, ".") || strings.Contains(folded, "..") {
		return "", false
	}
	// Both forms are checked: the one that was given is shown.
	for _, text := range []string{folded, local} {
		for i, r := range text {
			switch {
			case r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'):
			case r < 0x80 && strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r):
			case r >= 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) && i > 0):
			default:
				return "", false
			}
		}
	}
	return folded, true
}

// canonicalDomain is the ASCII form of a domain of two labels or more, of which
// the last is no number.
func canonicalDomain(domain string) (string, bool) {
	ascii, err := domains.ToASCII(domain)
	if err != nil || ascii == "" || strings.HasSuffix(ascii, ".") {
		return "", false
	}
	// A form that is read as another one is not canonical.
	if again, err := domains.ToASCII(ascii); err != nil || again != ascii {
		return "", false
	}
	dot := strings.LastIndexByte(ascii, '.')
	if dot < 1 {
		return "", false
	}
	last := ascii[dot+1:]
	if len(last) < 2 || !strings.ContainsFunc(last, func(r rune) bool { return r >= 'a' && r <= 'z' }) {
		return "", false
	}
	return ascii, true
}
