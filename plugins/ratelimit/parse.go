package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseLimit reads a limit from the words of a configuration line:
//
//	COUNT/DURATION [burst COUNT] [window strict] [tolerance COUNT]
//
// such as `60/1m`, `10/1s burst 20`, `100000/1d` and `60/1m window strict`. The
// options may come in any order, each once. A bare unit (`60/m`) is refused,
// since `m` could be taken for a month. The result is valid; errors wrap
// ErrLimit and say what to write.
func ParseLimit(words []string) (Limit, error) {
	if len(words) == 0 {
		return Limit{}, fmt.Errorf("%w: limit must be COUNT/DURATION, like 60/1m; got nothing", ErrLimit)
	}
	limit, err := parseRate(words[0])
	if err != nil {
		return Limit{}, err
	}
	limit.Burst = limit.Count
	seen := map[string]bool{}
	for rest := words[1:]; len(rest) > 0; rest = rest[2:] {
		word := rest[0]
		switch {
		case word != "burst" && word != "window" && word != "tolerance":
			return Limit{}, fmt.Errorf("%w: after %s comes `burst COUNT` or `window strict`; got %q",
				ErrLimit, words[0], clip(word))
		case len(rest) < 2:
			return Limit{}, fmt.Errorf("%w: %s needs a value: `burst COUNT`, `window strict` or `tolerance COUNT`", ErrLimit, word)
		case seen[word]:
			return Limit{}, fmt.Errorf("%w: %s is given twice", ErrLimit, word)
		}
		seen[word] = true
		if err := setOption(&limit, word, rest[1]); err != nil {
			return Limit{}, err
		}
	}
	limit.Count += int64(limit.Tolerance)
	limit.Burst += int64(limit.Tolerance)
	return limit, limit.Validate()
}

// setOption reads one option of a limit.
func setOption(l *Limit, word, value string) (err error) {
	switch word {
	case "burst":
		if l.Burst, err = parseCount(value); err != nil {
			return fmt.Errorf("%w: burst must be a whole number of 1 or more, like 20; got %q", ErrLimit, clip(value))
		}
	case "tolerance":
		n, err := parseCount(value)
		if err != nil || n > maxTolerance {
			return fmt.Errorf("%w: tolerance must be a whole number from 1 to %d; got %q", ErrLimit, maxTolerance, clip(value))
		}
		l.Tolerance = uint32(n)
	default:
		if value != "strict" {
			return fmt.Errorf("%w: the only window that can be asked for is `window strict`; got %q", ErrLimit, clip(value))
		}
		l.Strict = true
	}
	return nil
}

// maxTolerance bounds what a limit admits beyond what it tells.
const maxTolerance = 1000

// ParseLimits parses lines, each with the syntax of ParseLimit.
func ParseLimits(lines []string) ([]Limit, error) {
	limits := make([]Limit, 0, len(lines))
	for _, line := range lines {
		limit, err := ParseLimit(strings.Fields(line))
		if err != nil {
			return nil, err
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

// ParsePolicy makes a policy of lines of limits.
func ParsePolicy(name string, lines []string, concurrency int) (*Policy, error) {
	limits, err := ParseLimits(lines)
	if err != nil {
		return nil, err
	}
	return NewPolicy(name, limits, concurrency)
}

// ParseLimitString reads a limit from one string, as String writes it.
func ParseLimitString(s string) (Limit, error) {
	if len(s) > maxText {
		return Limit{}, fmt.Errorf("%w: limit must be COUNT/DURATION, like 60/1m; got %d characters", ErrLimit, len(s))
	}
	return ParseLimit(strings.Fields(s))
}

// MustParseLimit is ParseLimitString for limits written in source. It panics on
// an invalid one.
func MustParseLimit(s string) Limit {
	limit, err := ParseLimitString(s)
	if err != nil {
		panic(err)
	}
	return limit
}

// maxText is the longest text of a limit or a duration, in bytes.
const maxText = 256

func parseRate(word string) (Limit, error) {
	fail := func(why string) (Limit, error) {
		return Limit{}, fmt.Errorf("%w: limit must be COUNT/DURATION, like 60/1m; got %q%s", ErrLimit, clip(word), why)
	}
	count, period, found := strings.Cut(word, "/")
	if !found {
		return fail("")
	}
	n, err := parseCount(count)
	if err != nil {
		return fail(": the count must be a whole number of 1 or more")
	}
	if unit := period; unit != "" && (unit[0] < '0' || unit[0] > '9') && unit[0] != '.' {
		return fail(": the duration needs a number, like 1s, 1m, 1h or 1d")
	}
	d, err := ParseDuration(period)
	if err != nil {
		return fail(": the duration must be like 1s, 1m, 1h30m or 30d")
	}
	return Limit{Count: n, Period: d}, nil
}

// parseCount reads 1 to MaxInt64 from decimal digits and nothing else: no sign,
// no exponent, no separator.
func parseCount(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, strconv.ErrRange
	}
	return n, nil
}

// ParseDuration reads a positive duration in Caddy's form: Go's, with `d` for 24
// hours before the other units (`30d`, `1d12h`, `1.5d`).
func ParseDuration(s string) (time.Duration, error) {
	fail := func() (time.Duration, error) {
		return 0, fmt.Errorf("a duration must be positive and like 500ms, 1m, 1h30m or 30d; got %q", clip(s))
	}
	if len(s) > maxText || strings.ContainsAny(s, "+-") {
		return fail()
	}
	total := time.Duration(0)
	rest := s
	if days, tail, found := strings.Cut(s, "d"); found {
		// The standard library has no days: parse them as hours, and multiply by 24.
		hours, err := time.ParseDuration(days + "h")
		if err != nil || hours > math.MaxInt64/24 || strings.Trim(days, "0123456789.") != "" {
			return fail()
		}
		total, rest = hours*24, tail
	}
	if rest != "" || s == "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d > math.MaxInt64-total {
			return fail()
		}
		total += d
	}
	if total <= 0 {
		return fail()
	}
	return total, nil
}

// FormatDuration writes a duration in the shortest form that ParseDuration reads
// back: `1d12h`, `1m`, `1m30s`, `1.5s`.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return d.String()
	}
	var b []byte
	for _, unit := range []struct {
		size time.Duration
		name byte
	}{{day, 'd'}, {time.Hour, 'h'}, {time.Minute, 'm'}} {
		if n := d / unit.size; n > 0 {
			b = append(strconv.AppendInt(b, int64(n), 10), unit.name)
			d -= n * unit.size
		}
	}
	if d > 0 {
		b = append(b, d.String()...)
	}
	return string(b)
}

// clip keeps the quotation in an error message short.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
