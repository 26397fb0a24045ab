package reading

import "strings"

// messageKeys name the message for people in the JSON of the frameworks and
// services met, the most telling first.
var messageKeys = strings.Fields(`
	error_description errorDescription detail message msg errorMessage error_message error_msg errorSummary errMsg errmsg description
	userMessage user_message displayMessage localizedMessage messages errorMessages error_messages reason error err title fault
	faultstring faultString summary text info statusMessage status_message statusText statusDescription developerMessage
	ExceptionMessage MessageDetail explanation content response value details cause failure hint notice status result data body meta
	errors problem problems issues Error Response
`)

// codeKeys name the machine's word for the error: better than nothing.
var codeKeys = strings.Fields("code errorCode error_code errcode Code type __type name kind key status reason")

// privateKeys hold what is never for clients, whatever it says.
var privateKeys = Words(`
	trace traces stack stacktrace stack_trace exception backtrace debug innererror innerexception previous file line query sql path
	instance url uri method timestamp request_id requestid traceid trace_id documentation_url doc_url docurl more_info moreinfo help
	helpurl link links _links instanceid correlationid correlation_id debug_id input ctx rejectedvalue host hostid server version
	exceptiontype stackinfo throwable fbtrace_id schemas jsonapi locations extensions apiversion metadata
`)

// MessageOf finds the message of a JSON value: the first telling string of
// messageKeys, else one that only repeats the status, else a code.
func MessageOf(status int, n *Node) string {
	var s messageSearch
	s.status = status
	s.walk(n, 0)
	switch {
	case s.sentence != "":
		return s.sentence
	case s.phrase != "":
		return s.phrase
	}
	return s.code
}

const maxMessageDepth = 6

type messageSearch struct {
	status                 int
	sentence, phrase, code string
	visited                int
}

// offer takes a string into account; it reports whether the search is over.
func (s *messageSearch) offer(text string) bool {
	text = strings.TrimSpace(text)
	switch {
	case IsBlank(text) || strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://"):
	case IsPhrase(s.status, text):
		if s.phrase == "" {
			s.phrase = text
		}
	case IsCode(text):
		if s.code == "" {
			s.code = text
		}
	default:
		s.sentence = text
		return true
	}
	return false
}

func (s *messageSearch) walk(n *Node, depth int) bool {
	if s.visited++; n == nil || depth > maxMessageDepth || s.visited > 2000 {
		return false
	}
	switch n.Kind {
	case String:
		if inner := inString(n); inner != nil {
			return s.walk(inner, depth+1)
		}
		return s.offer(n.Str)
	case Array:
		return s.list(n, depth)
	case Object:
		for _, key := range messageKeys {
			if v := n.Get(key); v != nil && s.walk(v, depth+1) {
				return true
			}
		}
		for _, key := range codeKeys {
			if v := n.Get(key); v != nil && v.Kind == String && s.code == "" {
				s.offer(AfterNamespace(v.Str))
			}
		}
		for i, key := range n.Keys {
			v := n.Vals[i]
			if (v.Kind == Object || v.Kind == Array) && !privateKeys[strings.ToLower(key)] && s.walk(v, depth+1) {
				return true
			}
		}
	}
	return false
}

// inString parses a JSON document that stands in a string: what a service says
// that passes on what another said to it. It returns nil for any other string.
func inString(n *Node) *Node {
	if !n.Is(String) || len(n.Str) > 64<<10 {
		return nil
	}
	text := strings.TrimSpace(n.Str)
	if len(text) < 2 || text[0] != '{' && text[0] != '[' {
		return nil
	}
	if inner, _, ok := ParseJSON(text); ok && (inner.IsObject() || inner.Is(Array)) {
		return inner
	}
	return nil
}

// list joins the messages of an array's elements.
func (s *messageSearch) list(n *Node, depth int) bool {
	var sentences []string
	for _, v := range n.Vals {
		if len(sentences) == MaxMessages {
			break
		}
		one := messageSearch{status: s.status, visited: s.visited}
		one.walk(v, depth+1)
		s.visited = one.visited
		switch {
		case one.sentence != "":
			sentences = append(sentences, one.sentence)
		case one.phrase != "" && s.phrase == "":
			s.phrase = one.phrase
		case one.code != "" && s.code == "":
			s.code = one.code
		}
	}
	if len(sentences) > 0 {
		s.sentence = JoinMessages(sentences)
		return true
	}
	return false
}

// AfterNamespace shortens a type's name: com.amazonaws.sqs#QueueDoesNotExist.
func AfterNamespace(s string) string {
	if i := strings.LastIndexAny(s, "#/"); i >= 0 {
		s = s[i+1:]
	}
	if IsCode(s) && strings.Count(s, ".") >= 2 {
		s = s[strings.LastIndexByte(s, '.')+1:]
	}
	return s
}
