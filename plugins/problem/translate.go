package problem

import (
	"errors"
	"net/http"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/readers"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// Translate reads an upstream's answer of status 400 or above. Pass means that
// the body is in the fastapi format already and may leave as it is: byte for byte,
// or as p.Body where that is set. Then p describes it, for an answer in another
// format. The status to send is p.Status either way, and Retry-After is
// p.RetryAfter where that is not zero.
//
// Translate never fails: what can't be read gets the status text.
func (t *Translator) Translate(r Response) (p Problem, pass bool) {
	p = Problem{Status: saneStatus(r.Status), Detail: t.text(saneStatus(r.Status)), Message: FateNone}
	if r.Method == http.MethodHead {
		// There is no body; what a GET would have said is not known.
		p.Reader = "head"
		p.RetryAfter = t.retryAfter(p.Status, r, reading.Finding{}, nil)
		p.Message = FatePassed
		return p, true
	}
	body, err := t.decode(r.Body, r.Header["Content-Encoding"])
	if err != nil {
		p.Reader = "undecodable"
		if errors.Is(err, errTooLarge) {
			p.Reader = "too_large"
		}
		if len(body) == 0 {
			p.RetryAfter = t.retryAfter(p.Status, r, reading.Finding{}, nil)
			return p, false
		}
	}
	text, asSent := toUTF8(body, reading.Header(r.Header, "Content-Type"))
	whole := err == nil && !r.Truncated
	if !whole {
		// A part of a body is good for rules and for the log, not for clients.
		if p.Reader == "" {
			p.Reader = "too_large"
		}
		d := &reading.Document{Status: p.Status, Header: r.Header, Text: text}
		rule := t.apply(&p, r.Status, d)
		if p.Rule == 0 && overloaded(p.Status, text) {
			return t.overload(r, text), false
		}
		p.Original = redact(text)
		p.RetryAfter = t.retryAfter(p.Status, r, reading.Finding{}, nil)
		rule.finish(&p)
		return p, false
	}
	d := reading.NewDocument(p.Status, r.Header, text)
	rule := t.apply(&p, r.Status, d)
	if p.Rule == 0 && overloaded(p.Status, d.Text) {
		return t.overload(r, d.Text), false
	}
	d.Status = p.Status
	if inHouse(d) {
		pass = t.house(&p, d) && asSent && rule.Detail == ""
		if pass {
			p.Message = FatePassed
		}
		p.RetryAfter = t.retryAfter(p.Status, r, reading.Finding{}, d)
	} else {
		f, name := readers.Read(d)
		p.Reader = name
		t.public(&p, d, f, rule)
		p.RetryAfter = t.retryAfter(p.Status, r, f, d)
	}
	if p.Detail == "" {
		p.Detail = t.text(p.Status)
	}
	if !pass && p.Original == "" && (p.Leak != "" || p.Status >= 500 || p.Rule > 0) {
		p.Original = redact(d.Text)
	}
	rule.finish(&p)
	if pass && p.Status == http.StatusTooManyRequests {
		if body, changed := withRetryAfter(d.Text, p.RetryAfter); changed {
			p.Body, p.Message = body, FateKept
		}
	}
	return p, pass
}

// apply finds the operator's rule and takes its status, under which the rest of
// the contract then works.
func (t *Translator) apply(p *Problem, upstream int, d *reading.Document) Rule {
	rule, number := t.match(upstream, d)
	if number == 0 {
		return Rule{}
	}
	p.Rule = number
	if rule.NewStatus != 0 {
		p.Status = rule.NewStatus
		p.Detail = t.text(p.Status)
	}
	return rule
}

// finish replaces what was found with what the operator's rule says.
func (r Rule) finish(p *Problem) {
	if r.Detail != "" {
		p.Detail, p.Fields, p.Title, p.Type, p.Message = r.Detail, nil, "", "", FateRule
	}
	if r.RetryAfter > 0 {
		p.RetryAfter = r.RetryAfter
	}
}

// public sets p's text from a finding. A 4xx gets the upstream's message, cleaned and
// guarded. A 5xx gets the status text, unless the configuration or this rule shows
// messages of a 5xx.
func (t *Translator) public(p *Problem, d *reading.Document, f reading.Finding, rule Rule) {
	if p.Status >= 500 && !t.show && !f.ClientFault && !rule.KeepDetail {
		// Nothing of it is shown, so the guard has nothing to find.
		if d.Text != "" {
			p.Message = FateHidden
		}
		return
	}
	fields, fieldLeak := tidy(p.Status, f.Fields)
	if len(fields) > 0 && fieldLeak != "" {
		p.Leak = fieldLeak
	}
	if reading.Located(fields) && reading.TakesFields(p.Status) {
		p.Fields = fields
	} else if len(fields) > 0 && reading.IsBlank(f.Message) {
		f.Message = reading.Summary(fields)
	}
	message := reading.Humanize(p.Status, f.Message, reading.MaxMessage)
	message = withoutGoTypes(message)
	if class := leak.Of(message); class != "" && !(class == "sql" && f.SafeSQL) {
		p.Leak, message = class, ""
	} else if message == "" && f.Message != "" && p.Leak == "" {
		p.Leak = leak.Of(f.Message)
	}
	_, configured := t.texts[p.Status]
	switch {
	case message != "" && configured && reading.IsPhrase(p.Status, message):
		// The status in words is no message beside a text that the operator wrote.
		p.Message = FateNone
	case message != "":
		p.Detail, p.Message = message, FateKept
	case len(p.Fields) > 0:
		p.Detail, p.Message = reading.Phrase(p.Status), FateKept
	case p.Leak != "":
		p.Message = FateLeak
	}
	if title := reading.Humanize(p.Status, f.Title, reading.MaxFieldMessage); title != "" && leak.Of(title) == "" {
		p.Title = title
	}
	if typeURI(f.Type) {
		p.Type = f.Type
	}
}
