package cors

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// The two words that are no origins.
const (
	anyOrigin  = "*"
	nullOrigin = "null"
)

// origins say which origins are allowed. A browser serializes an origin in one form
// only (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin), so that
// origins are compared byte by byte: another form comes from no browser.
type origins struct {
	any, null   bool
	exact       []string
	wildcards   []wildcard
	expressions []*regexp.Regexp
}

// wildcard is an origin whose first label is free.
type wildcard struct {
	// before is `https://`, after `.example.com` with the port.
	before, after string
}

// allow reports whether an Origin header's value is allowed.
func (o *origins) allow(origin string) bool {
	if origin == nullOrigin {
		return o.null
	}
	if slices.Contains(o.exact, origin) {
		return true
	}
	if !o.any && o.wildcards == nil && o.expressions == nil || !isOrigin(origin) {
		return false
	}
	return o.any || slices.ContainsFunc(o.wildcards, func(w wildcard) bool { return w.match(origin) }) ||
		slices.ContainsFunc(o.expressions, func(e *regexp.Regexp) bool { return e.MatchString(origin) })
}

// match reports whether an origin differs from the wildcard's in its first label
// alone.
func (w wildcard) match(origin string) bool {
	rest, ok := strings.CutPrefix(origin, w.before)
	if !ok {
		return false
	}
	label, ok := strings.CutSuffix(rest, w.after)
	return ok && isLabel(label)
}

// maxOrigin is the longest origin that is looked at, in bytes: a name of 253 bytes
// (RFC 1035 section 2.3.4), and room for a scheme and a port.
const maxOrigin = 320

// isOrigin reports whether a text has the form in which browsers write an origin
// that is not opaque: scheme, host and port, in small letters and ASCII.
func isOrigin(text string) bool {
	if len(text) > maxOrigin {
		return false
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !isScheme(scheme) {
		return false
	}
	host, port, ok := cutPort(rest)
	return ok && isHost(host) && (port == "" || isPort(port))
}

// cutPort takes a host and a port apart; the port is empty where there is none.
func cutPort(rest string) (host, port string, ok bool) {
	end := strings.LastIndexByte(rest, ':')
	if end < 0 || strings.HasSuffix(rest, "]") {
		return rest, "", true
	}
	return rest[:end], rest[end+1:], end+1 < len(rest)
}

func isScheme(s string) bool {
	return s != "" && 'a' <= s[0] && s[0] <= 'z' && only(s, "+-.")
}

func isHost(s string) bool {
	if inside, ok := strings.CutPrefix(s, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && "["+addr.String()+"]" == s
	}
	return s != "" && s[0] != '.' && !strings.Contains(s, "..") && only(s, "-._")
}

func isLabel(s string) bool { return s != "" && len(s) <= 63 && only(s, "-_") }

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// only reports whether a text has nothing but small letters, digits and some signs.
func only(s, signs string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return true
}

// parseOrigins reads what is configured and finds every mistake in it.
func parseOrigins(texts, expressions []string) (*origins, error) {
	o := new(origins)
	var errs []error
	for _, text := range texts {
		if err := o.add(text); err != nil {
			errs = append(errs, err)
		}
	}
	for _, text := range expressions {
		if err := o.addExpression(text); err != nil {
			errs = append(errs, err)
		}
	}
	return o, errors.Join(errs...)
}

// add reads one origin.
func (o *origins) add(text string) error {
	switch text {
	case anyOrigin:
		o.any = true
		return nil
	case nullOrigin:
		o.null = true
		return nil
	}
	if before, rest, ok := strings.Cut(text, "*"); ok {
		return o.addWildcard(text, before, rest)
	}
	if err := checkOrigin(text); err != nil {
		return fmt.Errorf("origin %s %w", text, err)
	}
	o.exact = append(o.exact, text)
	return nil
}

func (o *origins) addWildcard(text, before, after string) error {
	if !strings.HasSuffix(before, "://") || !strings.HasPrefix(after, ".") || strings.Contains(after, "*") {
		return fmt.Errorf("origin %s: a wildcard stands for the first label of a host, like `https://*.example.com`; for anything else write `origin_regexp EXPRESSION`", text)
	}
	if err := checkOrigin(before + "x" + after); err != nil {
		return fmt.Errorf("origin %s %w", text, err)
	}
	host, _, _ := cutPort(after[1:])
	suffix, byICANN := publicsuffix.PublicSuffix(host)
	if suffix == host && (byICANN || strings.Contains(host, ".")) {
		return fmt.Errorf("origin %s: anybody can have a name below %s; name your own, like `https://*.example.com`", text, host)
	}
	o.wildcards = append(o.wildcards, wildcard{before, after})
	return nil
}

// checkOrigin says what is wrong with an origin that no browser would send.
func checkOrigin(text string) error {
	lower := strings.ToLower(text)
	scheme, rest, _ := strings.Cut(lower, "://")
	host, port, _ := cutPort(rest)
	switch {
	case isOrigin(text) && (scheme == "https" && port == "443" || scheme == "http" && port == "80"):
		return fmt.Errorf("is never sent, since browsers leave the port of the scheme out: write `%s://%s`", scheme, host)
	case scheme == "file":
		return errors.New("is never sent: the origin of a file is `null`")
	case isOrigin(text):
		return nil
	case lower != text && isOrigin(lower):
		return fmt.Errorf("has capitals, and browsers send none: write `%s`", lower)
	case isOrigin(strings.TrimRight(lower, "/")):
		return fmt.Errorf("ends with a slash, and an origin has no path: write `%s`", strings.TrimRight(lower, "/"))
	}
	return errors.New("is none: write scheme, host and port in ASCII as browsers send them, like `https://app.example.com` or `http://localhost:3000`")
}

func (o *origins) addExpression(text string) error {
	// Alone first: `a)|(b` would step out of the group below.
	if _, err := regexp.Compile(text); err != nil {
		return fmt.Errorf("origin_regexp: %w", err)
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return fmt.Errorf("origin_regexp %s: %w", text, err)
	}
	o.expressions = append(o.expressions, whole)
	return nil
}

// strangers are origins that nobody means to allow: an expression that matches them
// matches everything.
var strangers = []string{"https://portcullis.invalid", "http://portcullis.invalid"}

// everybody returns what allows all origins, empty where nothing does.
func (o *origins) everybody() string {
	if o.any {
		return "origin *"
	}
	for _, e := range o.expressions {
		if slices.ContainsFunc(strangers, e.MatchString) {
			return "origin_regexp that matches every origin"
		}
	}
	return ""
}

// describe is what is allowed, for `explain`.
func describe(texts, expressions []string) string {
	said := slices.Clone(texts)
	for _, e := range expressions {
		said = append(said, "expression "+e)
	}
	return "one of " + strings.Join(said, ", ")
}
