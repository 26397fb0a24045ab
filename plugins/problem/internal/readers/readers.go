// Package readers knows how frameworks and services write their errors: a file for
// each family. To add one, write a file with a reader in it and name that reader in
// the list below.
package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// Reader understands the error bodies of one family of frameworks or services.
// It decides by the body's content, never by its Content-Type.
type Reader interface {
	// Name is for logs and metrics; lower case.
	Name() string
	// Read returns what it found, or false where the body is not of the family.
	Read(d *reading.Document) (reading.Finding, bool)
}

// reader is a Reader made of a function.
type reader struct {
	name string
	read func(*reading.Document) (reading.Finding, bool)
}

func (r reader) Name() string                                     { return r.name }
func (r reader) Read(d *reading.Document) (reading.Finding, bool) { return r.read(d) }

// readers is the registry, in the order they are tried: what is told apart by
// more comes first, and generic readers last. It is fixed at compile time.
var readers = []Reader{
	emptyReader,
	// JSON with a signature of its own
	sqlStateReader,
	googleReader,
	connectReader,
	twirpReader,
	kubernetesReader,
	fhirReader,
	scimReader,
	jsonAPIReader,
	graphQLReader,
	odataReader,
	stripeReader,
	awsJSONReader,
	oauth2Reader,
	elasticsearchReader,
	couchDBReader,
	vaultReader,
	postgRESTReader,
	twilioReader,
	githubReader,
	jiraReader,
	springReader,
	symfonyReader,
	aspNetReader,
	problemJSONReader,
	laravelReader,
	railsReader,
	phoenixReader,
	nestReader,
	hapiReader,
	fastifyReader,
	expressValidatorReader,
	zodReader,
	pydanticReader,
	flaskReader,
	drfReader,
	goReader,
	// XML
	soapReader,
	problemXMLReader,
	xmlDictReader,
	awsXMLReader,
	// pages
	djangoPageReader,
	tomcatReader,
	cloudflareReader,
	cloudFrontReader,
	varnishReader,
	phpReader,
	serverPageReader,
	// what no family claims
	genericJSONReader,
	genericXMLReader,
	genericPageReader,
	brokenReader,
	formReader,
	tracebackReader,
	textReader,
}

// Read asks the readers in turn. It leaves field errors out unless at least one of
// them names its field.
func Read(d *reading.Document) (reading.Finding, string) {
	for _, r := range readers {
		f, ok := r.Read(d)
		if !ok {
			continue
		}
		if f.Instead != nil && len(f.Instead.Text) < len(d.Text) {
			f, _ = Read(f.Instead)
		}
		if !reading.Located(f.Fields) {
			f.Fields = nil
		}
		return f, r.Name()
	}
	return reading.Finding{}, "none"
}
