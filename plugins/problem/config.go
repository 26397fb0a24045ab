package problem

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// DefaultMaxBody is how much of an error body is read, in bytes.
const DefaultMaxBody = 1 << 20

// Config says how errors are read and written. The zero value is the default.
type Config struct {
	// Format is the house format. Default: FormatFastAPI.
	Format Format
	// Template is the JSON of FormatCustom; see ParseTemplate.
	Template string
	// ServerMessages shows the message of 5xx bodies that are not in the house
	// format already, as those of 4xx are shown. Default: hide.
	ServerMessages bool
	// Rules are tried in order; the first that matches holds.
	Rules []Rule
	// Texts replaces the fixed text per status.
	Texts map[int]string
	// MaxBody bounds the decoded body, in bytes. Default: 1 MiB. What the caller
	// reads should have the same bound.
	MaxBody int64
	// Decoders adds content codings to gzip, deflate, br and zstd, or replaces
	// them. A decoder sees at most MaxBody bytes and is read for at most as many.
	Decoders map[string]func(io.Reader) (io.ReadCloser, error)
	// Clock tells the time for Retry-After dates. Default: time.Now.
	Clock plugins.Clock
}

// Translator reads upstream errors and writes Problems. It is immutable and
// safe for concurrent use.
type Translator struct {
	format   Format
	template *Template
	show     bool
	rules    []Rule
	texts    map[int]string
	maxBody  int64
	decoders map[string]func(io.Reader) (io.ReadCloser, error)
	now      plugins.Clock
}

// New checks a configuration. It returns all of its mistakes at once.
func New(c Config) (*Translator, error) {
	t := &Translator{
		format:   c.Format,
		show:     c.ServerMessages,
		rules:    append([]Rule(nil), c.Rules...),
		texts:    make(map[int]string, len(c.Texts)),
		maxBody:  c.MaxBody,
		decoders: make(map[string]func(io.Reader) (io.ReadCloser, error)),
		now:      c.Clock,
	}
	var errs []error
	switch c.Format {
	case FormatFastAPI, FormatProblem:
		if c.Template != "" {
			errs = append(errs, fmt.Errorf("format %s takes no template", c.Format))
		}
	case FormatCustom:
		var err error
		if t.template, err = ParseTemplate(c.Template); err != nil {
			errs = append(errs, fmt.Errorf("reading custom format: %w", err))
		}
	default:
		errs = append(errs, fmt.Errorf("unknown format %d", c.Format))
	}
	for i, r := range c.Rules {
		if err := r.validate(); err != nil {
			errs = append(errs, fmt.Errorf("rule %d: %w", i+1, err))
		}
	}
	for status, text := range c.Texts {
		if status < 400 || status > 599 {
			errs = append(errs, fmt.Errorf("text for status %d: not an error status", status))
		}
		if clean := reading.CleanLine(text, reading.MaxMessage); clean == "" {
			errs = append(errs, fmt.Errorf("text for status %d is empty", status))
		} else {
			t.texts[status] = clean
		}
	}
	if c.MaxBody < 0 {
		errs = append(errs, fmt.Errorf("max_body %d is negative", c.MaxBody))
	}
	if t.maxBody == 0 {
		t.maxBody = DefaultMaxBody
	}
	maps.Copy(t.decoders, builtinDecoders)
	maps.Copy(t.decoders, c.Decoders)
	if t.now == nil {
		t.now = time.Now
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return t, nil
}

// text is the configured text of a status, or the fixed one.
func (t *Translator) text(status int) string {
	if s, ok := t.texts[status]; ok {
		return s
	}
	return reading.Text(status)
}
