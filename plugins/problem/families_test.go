package problem

import (
	"net/http"
	"strings"
	"testing"
)

// families has a body as each family writes it, and the fastapi answer to it.
// Bodies follow the projects' documentation and sources.
var families = []struct {
	name   string
	status int
	body   string
	want   string
	reader string
}{
	// Python
	{
		"drf fields", 400, `{"email":["Enter a valid email address."],"profile":{"age":["A valid integer is required."]},"non_field_errors":["Passwords differ."]}`,
		`{"detail":[{"loc":["email"],"msg":"Enter a valid email address.","type":"value_error"},{"loc":["profile","age"],"msg":"A valid integer is required.","type":"value_error"},{"loc":["body"],"msg":"Passwords differ.","type":"value_error"}]}`, "drf",
	},
	{"drf non field only", 400, `{"non_field_errors":["Unable to log in with provided credentials."]}`, `{"detail":"Unable to log in with provided credentials."}`, "drf"},
	{"drf many", 400, `[{},{"qty":["A valid integer is required."]}]`, `{"detail":[{"loc":[1,"qty"],"msg":"A valid integer is required.","type":"value_error"}]}`, "drf"},
	{"drf nested many", 400, `{"items":[{},{"qty":["Too big."]}]}`, `{"detail":[{"loc":["items",1,"qty"],"msg":"Too big.","type":"value_error"}]}`, "drf"},
	{"drf list of texts", 400, `["You may not do that."]`, `{"detail":"You may not do that."}`, "json"},
	{"marshmallow", 422, `{"name":["Missing data for required field."]}`, `{"detail":[{"loc":["name"],"msg":"Missing data for required field.","type":"value_error"}]}`, "drf"},
	{"webargs", 422, `{"code":422,"status":"Unprocessable Entity","errors":{"json":{"name":["Missing data for required field."]}}}`, `{"detail":[{"loc":["body","name"],"msg":"Missing data for required field.","type":"value_error"}]}`, ""},
	{"flask-restful", 400, `{"message":{"rate":"Rate cannot be converted"}}`, `{"detail":[{"loc":["rate"],"msg":"Rate cannot be converted","type":"value_error"}]}`, "flask"},
	{
		"werkzeug page", 404, "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>\n",
		`{"detail":"Not Found: The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again."}`, "server-page",
	},
	{"werkzeug json", 403, `{"code":403,"name":"Forbidden","description":"You may not see this order."}`, `{"detail":"You may not see this order."}`, "flask"},
	{"django 404", 404, "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n", `{"detail":"Not Found: The requested resource was not found on this server."}`, "server-page"},
	{"django debug 404", 404, "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Page not found at /x</title></head><body><div id=\"summary\"><h1>Page not found <span>(404)</span></h1><table><tr><th>Request Method:</th><td>GET</td></tr></table></div><div id=\"info\"><p>Using the URLconf defined in <code>shop.urls</code>, Django tried these URL patterns</p></div><p>You're seeing this error because you have <code>DEBUG = True</code></p></body></html>", `{"detail":"Page not found"}`, "django"},
	{"aiohttp", 404, "404: Not Found", `{"detail":"Not Found"}`, "text"},
	{"tornado", 404, "<html><title>404: Not Found</title><body>404: Not Found</body></html>", `{"detail":"Not Found"}`, ""},
	{"falcon", 404, `{"title":"404 Not Found","description":"No such widget"}`, `{"detail":"No such widget"}`, "problem+json"},
	{"sanic", 404, `{"description":"Not Found","status":404,"message":"Requested URL /x not found"}`, `{"detail":"Requested URL /x not found"}`, "json"},
	{"starlette text", 403, "You are not allowed", `{"detail":"You are not allowed"}`, "text"},
	{"pydantic bare", 422, `[{"loc":["age"],"msg":"value is not a valid integer","type":"type_error.integer"}]`, `{"detail":[{"loc":["age"],"msg":"value is not a valid integer","type":"type_error.integer"}]}`, "pydantic"},
	{"flask-pydantic", 400, `{"validation_error":{"query_params":[{"loc":["age"],"msg":"field required","type":"value_error.missing"}]}}`, `{"detail":[{"loc":["age"],"msg":"field required","type":"value_error.missing"}]}`, "pydantic"},
	{"fastapi object detail", 403, `{"detail":{"error":"no_quota","reason":"Your plan has no exports"}}`, `{"detail":"Your plan has no exports"}`, ""},
	// Ruby
	{"rails errors", 422, `{"errors":{"name":["can't be blank"],"base":["Too late"]}}`, `{"detail":[{"loc":["name"],"msg":"can't be blank","type":"value_error"},{"loc":["body"],"msg":"Too late","type":"value_error"}]}`, "rails"},
	{"rails bare", 422, `{"name":["can't be blank"]}`, `{"detail":[{"loc":["name"],"msg":"can't be blank","type":"value_error"}]}`, "drf"},
	{"rails status", 404, `{"status":404,"error":"Not Found"}`, `{"detail":"Not Found"}`, "json"},
	{"rails full messages", 422, `{"errors":["Name can't be blank","Email is invalid"]}`, `{"detail":"Name can't be blank; Email is invalid"}`, "vault"},
	{"grape", 400, `{"error":"name is missing, age is invalid"}`, `{"detail":"name is missing, age is invalid"}`, "json"},
	// PHP
	{"laravel message only", 403, `{"message":"This action is unauthorized."}`, `{"detail":"This action is unauthorized."}`, "json"},
	{"laravel model", 404, `{"message":"No query results for model [App\\Models\\User] 42"}`, `{"detail":"Not found"}`, "json"},
	{"symfony form", 400, `{"code":400,"message":"Validation Failed","errors":{"children":{"name":{"errors":["This value should not be blank."]},"tags":{"children":[]}}}}`, `{"detail":[{"loc":["name"],"msg":"This value should not be blank.","type":"value_error"}]}`, "symfony"},
	{"symfony violations", 422, `{"type":"x","title":"Validation Failed","violations":[{"propertyPath":"items[0].sku","message":"Blank.","code":"c1051bb4"}]}`, `{"detail":[{"loc":["items",0,"sku"],"msg":"Blank.","type":"c1051bb4"}]}`, "symfony"},
	{"php fatal", 400, "<br />\n<b>Fatal error</b>:  Uncaught Error: Call to undefined function foo() in /var/www/html/index.php:3\nStack trace:\n#0 {main}\n  thrown in <b>/var/www/html/index.php</b> on line <b>3</b><br />\n", `{"detail":"Bad Request"}`, "php"},
	{"php warning before json", 422, "<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/a.php</b> on line <b>9</b><br />\n{\"message\":\"The amount is missing\"}", `{"detail":"The amount is missing"}`, "php"},
	// Java
	{"spring advice", 400, `{"email":"must be a well-formed email address","age":"must not be null"}`, `{"detail":[{"loc":["email"],"msg":"must be a well-formed email address","type":"value_error"},{"loc":["age"],"msg":"must not be null","type":"value_error"}]}`, "drf"},
	{"spring message", 409, `{"timestamp":"2026-02-12T10:15:30Z","status":409,"error":"Conflict","message":"Order is shipped already","path":"/orders/1"}`, `{"detail":"Order is shipped already"}`, "spring"},
	{"spring exception name", 400, `{"timestamp":1,"status":400,"error":"Bad Request","exception":"x","message":"java.lang.IllegalArgumentException: Amount must be positive"}`, `{"detail":"Amount must be positive"}`, "spring"},
	{"quarkus", 400, `{"title":"Constraint Violation","status":400,"violations":[{"field":"create.dto.name","message":"must not be blank"}]}`, `{"detail":[{"loc":["create","dto","name"],"msg":"must not be blank","type":"value_error"}]}`, "symfony"},
	{"micronaut", 400, `{"_links":{"self":[{"href":"/x"}]},"_embedded":{"errors":[{"message":"name: must not be blank"}]},"message":"Bad Request"}`, `{"detail":"name: must not be blank"}`, "json"},
	{"dropwizard", 404, `{"code":404,"message":"HTTP 404 Not Found"}`, `{"detail":"Not Found"}`, "json"},
	{
		"tomcat", 404, `<!doctype html><html lang="en"><head><title>HTTP Status 404 – Not Found</title><style type="text/css">body {}</style></head><body><h1>HTTP Status 404 – Not Found</h1><hr class="line" /><p><b>Type</b> Status Report</p><p><b>Message</b> The requested resource [&#47;x] is not available</p><p><b>Description</b> The origin server did not find a current representation for the target resource.</p><hr class="line" /><h3>Apache Tomcat/9.0.70</h3></body></html>`,
		`{"detail":"Not Found: The requested resource [/x] is not available"}`, "tomcat",
	},
	{"jetty", 404, `<html><head><meta http-equiv="Content-Type" content="text/html;charset=utf-8"/><title>Error 404 Not Found</title></head><body><h2>HTTP ERROR 404 Not Found</h2><table><tr><th>URI:</th><td>/x</td></tr><tr><th>STATUS:</th><td>404</td></tr></table><hr/><a href="https://eclipse.org/jetty">Powered by Jetty:// 9.4.48</a><hr/></body></html>`, `{"detail":"Not Found"}`, "server-page"},
	// .NET
	{"aspnet modelstate", 400, `{"Message":"The request is invalid.","ModelState":{"model.Name":["The Name field is required."]}}`, `{"detail":[{"loc":["model","Name"],"msg":"The Name field is required.","type":"value_error"}]}`, "aspnet"},
	{"aspnet exception", 400, `{"Message":"An error has occurred.","ExceptionMessage":"x","ExceptionType":"System.InvalidOperationException","StackTrace":"   at A.B() in C:\\a.cs:line 3"}`, `{"detail":"An error has occurred."}`, "aspnet"},
	{"aspnet root", 400, `{"title":"One or more validation errors occurred.","status":400,"errors":{"":["A non-empty request body is required."]}}`, `{"detail":"A non-empty request body is required."}`, "aspnet"},
	{"iis page", 404, `<!DOCTYPE html><html><head><title>404 - File or directory not found.</title></head><body><div id="header"><h1>Server Error</h1></div><div id="content"><h2>404 - File or directory not found.</h2><h3>The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable.</h3></div></body></html>`, "", ""},
	// Node
	{"nest list", 400, `{"statusCode":400,"message":["email must be an email","age must be positive"],"error":"Bad Request"}`, `{"detail":"email must be an email; age must be positive"}`, "nest"},
	{"nest 404", 404, `{"statusCode":404,"message":"Cannot GET /x","error":"Not Found"}`, `{"detail":"Cannot GET /x"}`, "nest"},
	{"nest class-validator", 400, `{"statusCode":400,"message":[{"target":{},"value":"x","property":"email","children":[],"constraints":{"isEmail":"email must be an email"}}],"error":"Bad Request"}`, `{"detail":[{"loc":["email"],"msg":"email must be an email","type":"isEmail"}]}`, "nest"},
	{"boom", 401, `{"statusCode":401,"error":"Unauthorized","message":"Missing authentication"}`, `{"detail":"Missing authentication"}`, "nest"},
	{"hapi joi", 400, `{"statusCode":400,"error":"Bad Request","message":"Invalid request payload input","validation":{"source":"payload","keys":["user.name"]}}`, `{"detail":[{"loc":["body","user","name"],"msg":"Invalid request payload input","type":"value_error"}]}`, "hapi"},
	{"celebrate", 400, `{"statusCode":400,"error":"Bad Request","message":"Validation failed","validation":{"body":{"source":"body","keys":["age"],"message":"\"age\" must be a number"}}}`, `{"detail":[{"loc":["body","age"],"msg":"\"age\" must be a number","type":"value_error"}]}`, "hapi"},
	{"fastify", 400, `{"statusCode":400,"code":"FST_ERR_VALIDATION","error":"Bad Request","message":"body/user/age must be integer"}`, `{"detail":[{"loc":["body","user","age"],"msg":"must be integer","type":"value_error"}]}`, "fastify"},
	{"fastify required", 400, `{"statusCode":400,"code":"FST_ERR_VALIDATION","error":"Bad Request","message":"body must have required property 'name'"}`, `{"detail":[{"loc":["body","name"],"msg":"must have required property 'name'","type":"value_error"}]}`, "fastify"},
	{"fastify 404", 404, `{"message":"Route GET:/x not found","error":"Not Found","statusCode":404}`, `{"detail":"Route GET:/x not found"}`, "nest"},
	{"express-validator", 400, `{"errors":[{"type":"field","value":"x","msg":"Invalid value","path":"email","location":"body"}]}`, `{"detail":[{"loc":["body","email"],"msg":"Invalid value","type":"value_error"}]}`, "express-validator"},
	{"express-validator 5", 422, `{"errors":[{"value":"x","msg":"must be 5 chars","param":"password","location":"body"}]}`, `{"detail":[{"loc":["body","password"],"msg":"must be 5 chars","type":"value_error"}]}`, "express-validator"},
	{"mongoose", 400, `{"errors":{"email":{"name":"ValidatorError","message":"Path ` + "`email`" + ` is required.","properties":{"message":"m","type":"required","path":"email"},"kind":"required","path":"email"}},"_message":"User validation failed","message":"User validation failed: email: x"}`, "{\"detail\":[{\"loc\":[\"email\"],\"msg\":\"Path `email` is required.\",\"type\":\"required\"}]}", ""},
	{"zod", 400, `{"success":false,"error":{"issues":[{"code":"invalid_type","expected":"string","received":"undefined","path":["user",0,"name"],"message":"Required"}],"name":"ZodError"}}`, `{"detail":[{"loc":["user",0,"name"],"msg":"Required","type":"invalid_type"}]}`, "zod"},
	{"zod flat", 400, `{"formErrors":[],"fieldErrors":{"name":["Required"]}}`, `{"detail":[{"loc":["name"],"msg":"Required","type":"value_error"}]}`, "zod"},
	{"ajv", 422, `{"errors":[{"instancePath":"/user","schemaPath":"#/required","keyword":"required","params":{"missingProperty":"name"},"message":"must have required property 'name'"}]}`, `{"detail":[{"loc":["user","name"],"msg":"must have required property 'name'","type":"required"}]}`, "json"},
	{"loopback", 422, `{"error":{"statusCode":422,"name":"UnprocessableEntityError","message":"The request body is invalid.","code":"VALIDATION_FAILED","details":[{"path":"/name","code":"required","message":"must have required property 'name'","info":{}}]}}`, `{"detail":[{"loc":["name"],"msg":"must have required property 'name'","type":"required"}]}`, ""},
	{"strapi", 400, `{"data":null,"error":{"status":400,"name":"ValidationError","message":"title must be defined","details":{"errors":[{"path":["title"],"message":"title must be defined","name":"ValidationError"}]}}}`, `{"detail":[{"loc":["title"],"msg":"title must be defined","type":"value_error"}]}`, ""},
	{"feathers", 400, `{"name":"BadRequest","message":"Invalid email","code":400,"className":"bad-request","errors":{}}`, `{"detail":"Invalid email"}`, ""},
	{"trpc", 401, `{"error":{"message":"You must log in","code":-32001,"data":{"code":"UNAUTHORIZED","httpStatus":401,"stack":"TRPCError: x\n    at a (/srv/x.js:1:1)","path":"me"}}}`, `{"detail":"You must log in"}`, ""},
	// Go
	{"gin", 400, `{"error":"invalid id"}`, `{"detail":"invalid id"}`, "json"},
	{"echo", 404, `{"message":"Not Found"}`, `{"detail":"Not Found"}`, "json"},
	{"fiber", 404, "Cannot GET /nope", `{"detail":"Cannot GET /nope"}`, "text"},
	{"gin validator", 400, `{"error":"Key: 'CreateUser.Email' Error:Field validation for 'Email' failed on the 'required' tag\nKey: 'CreateUser.Age' Error:Field validation for 'Age' failed on the 'gte' tag"}`, `{"detail":[{"loc":["Email"],"msg":"Field validation for 'Email' failed on the 'required' tag","type":"required"},{"loc":["Age"],"msg":"Field validation for 'Age' failed on the 'gte' tag","type":"gte"}]}`, "go"},
	{"go json", 400, "json: cannot unmarshal string into Go struct field CreateUser.age of type int\n", `{"detail":"json: cannot unmarshal string into field age of type int"}`, "text"},
	// RPC
	{"grpc-gateway old", 404, `{"error":"not found","code":5,"message":"order 7 not found","details":[]}`, `{"detail":"order 7 not found"}`, "google"},
	{"connect", 404, `{"code":"not_found","message":"order 7 not found"}`, `{"detail":"order 7 not found"}`, "connect"},
	{"connect details", 400, `{"code":"invalid_argument","message":"bad","details":[{"type":"google.rpc.BadRequest","value":"Cg","debug":{"fieldViolations":[{"field":"a.b","description":"is odd"}]}}]}`, `{"detail":[{"loc":["a","b"],"msg":"is odd","type":"value_error"}]}`, "connect"},
	{"connect bare", 401, `{"code":"unauthenticated"}`, `{"detail":"unauthenticated"}`, "connect"},
	{"twirp", 400, `{"code":"invalid_argument","msg":"inches must be positive","meta":{"argument":"inches"}}`, `{"detail":"inches must be positive"}`, "twirp"},
	{"google api", 400, `{"error":{"code":400,"message":"Invalid value","errors":[{"message":"Invalid value","domain":"global","reason":"invalid","location":"alt","locationType":"parameter"}]}}`, `{"detail":"Invalid value"}`, "google"},
	{"google array", 403, `[{"error":{"code":403,"message":"Caller has no permission","status":"PERMISSION_DENIED"}}]`, `{"detail":"Caller has no permission"}`, "json"},
	// clouds and services
	{"aws query", 400, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter: TopicArn</Message></Error><RequestId>1</RequestId></ErrorResponse>`, `{"detail":"Invalid parameter: TopicArn"}`, "aws-xml"},
	{"aws ec2", 400, `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance ID 'i-1' does not exist</Message></Error></Errors><RequestID>1</RequestID></Response>`, `{"detail":"The instance ID 'i-1' does not exist"}`, "aws-xml"},
	{"azure", 400, `{"error":{"code":"InvalidParameter","message":"One or more are wrong","details":[{"code":"Required","target":"properties.name","message":"Name is required"}],"innererror":{"trace":"x"}}}`, `{"detail":[{"loc":["properties","name"],"msg":"Name is required","type":"Required"}]}`, "azure"},
	{"azure plain", 404, `{"error":{"code":"ResourceNotFound","message":"The Resource 'a' was not found."}}`, `{"detail":"The Resource 'a' was not found."}`, "azure"},
	{"odata 2", 404, `{"error":{"code":"SY/530","message":{"lang":"en","value":"Resource not found for segment 'X'"}}}`, `{"detail":"Resource not found for segment 'X'"}`, "azure"},
	{"azure storage xml", 404, "\ufeff" + `<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound</Code><Message>The specified blob does not exist.
RequestId:1
Time:2026-01-01T00:00:00Z</Message></Error>`, `{"detail":"The specified blob does not exist."}`, "aws-xml"},
	{"twilio", 404, `{"code":20404,"message":"The requested resource was not found","more_info":"https://www.twilio.com/docs/errors/20404","status":404}`, `{"detail":"The requested resource was not found"}`, "twilio"},
	{"openai", 401, `{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, `{"detail":"Incorrect API key provided."}`, "stripe"},
	{"anthropic", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: Field required"}}`, `{"detail":"max_tokens: Field required"}`, "stripe"},
	{"salesforce", 400, `[{"message":"Required fields are missing: [Name]","errorCode":"REQUIRED_FIELD_MISSING","fields":["Name"]}]`, `{"detail":[{"loc":["Name"],"msg":"Required fields are missing: [Name]","type":"REQUIRED_FIELD_MISSING"}]}`, "json"},
	{"slack", 401, `{"ok":false,"error":"invalid_auth"}`, `{"detail":"invalid_auth"}`, "json"},
	{"telegram", 400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, `{"detail":"Bad Request: chat not found"}`, "json"},
	{"okta", 400, `{"errorCode":"E0000001","errorSummary":"Api validation failed: login","errorLink":"E0000001","errorId":"x","errorCauses":[{"errorSummary":"login: already exists"}]}`, `{"detail":"Api validation failed: login: login: already exists"}`, "json"},
	{"discord", 400, `{"code":50035,"message":"Invalid Form Body","errors":{"embeds":{"0":{"title":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"This field is required"}]}}}}}`, `{"detail":[{"loc":["embeds",0,"title"],"msg":"This field is required","type":"BASE_TYPE_REQUIRED"}]}`, ""},
	{"gitlab", 400, `{"message":{"email":["has already been taken"]}}`, `{"detail":[{"loc":["email"],"msg":"has already been taken","type":"value_error"}]}`, "flask"},
	{"gitlab 404", 404, `{"message":"404 Project Not Found"}`, `{"detail":"Project Not Found"}`, "json"},
	{"jira", 400, `{"errorMessages":[],"errors":{"summary":"You must specify a summary"}}`, `{"detail":[{"loc":["summary"],"msg":"You must specify a summary","type":"value_error"}]}`, ""},
	{"paypal", 400, `{"name":"INVALID_REQUEST","message":"Request is not well-formed","debug_id":"1","details":[{"field":"/amount/value","value":"x","location":"body","issue":"INVALID_PARAMETER_SYNTAX","description":"The value is malformed."}]}`, `{"detail":[{"loc":["body","amount","value"],"msg":"The value is malformed.","type":"INVALID_PARAMETER_SYNTAX"}]}`, "json"},
	{"elasticsearch", 404, `{"error":{"root_cause":[{"type":"index_not_found_exception","reason":"no such index [foo]"}],"type":"index_not_found_exception","reason":"no such index [foo]","index":"foo"},"status":404}`, `{"detail":"no such index [foo]"}`, "elasticsearch"},
	{"couchdb", 404, `{"error":"not_found","reason":"missing"}`, `{"detail":"not_found: missing"}`, "couchdb"},
	{"couchdb conflict", 409, `{"error":"conflict","reason":"Document update conflict."}`, `{"detail":"Document update conflict."}`, "couchdb"},
	{"vault", 403, `{"errors":["permission denied"]}`, `{"detail":"permission denied"}`, "vault"},
	{"vault 404", 404, `{"errors":[]}`, `{"detail":"Not found"}`, "json"},
	{"postgrest", 406, `{"code":"PGRST116","details":"The result contains 0 rows","hint":null,"message":"JSON object requested, multiple (or no) rows returned"}`, `{"detail":"JSON object requested, multiple (or no) rows returned"}`, "postgrest"},
	{"postgrest leak", 409, `{"code":"23505","details":"Key (email)=(a@b.c) already exists.","hint":null,"message":"duplicate key value violates unique constraint \"users_email_key\""}`, `{"detail":"Conflict"}`, "postgrest"},
	// standards
	{"problem title", 404, `{"type":"about:blank","title":"No such order","status":404}`, `{"detail":"No such order"}`, "problem+json"},
	{"problem params", 400, `{"type":"https://x.example/p","title":"Your request is not valid.","invalid-params":[{"name":"age","reason":"must be a positive integer"}]}`, `{"detail":[{"loc":["age"],"msg":"must be a positive integer","type":"value_error"}]}`, "problem+json"},
	{"problem xml", 403, `<?xml version="1.0"?><problem xmlns="urn:ietf:rfc:7807"><type>https://x.example/p</type><title>You do not have enough credit.</title><detail>Your balance is 30.</detail></problem>`, `{"detail":"Your balance is 30."}`, "problem+xml"},
	{"oauth2", 400, `{"error":"invalid_grant","error_description":"The code has expired"}`, `{"detail":"The code has expired"}`, "oauth2"},
	{"oauth2 form", 400, `error=invalid_grant&error_description=The+code+has+expired`, `{"detail":"The code has expired"}`, "form"},
	{"scim without detail", 409, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness"}`, `{"detail":"uniqueness"}`, "scim"},
	{"fhir", 422, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required","details":{"text":"Name is missing"},"expression":["Patient.name"]}]}`, `{"detail":[{"loc":["Patient","name"],"msg":"Name is missing","type":"required"}]}`, "fhir"},
	{"fhir text", 404, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"Patient/7 is not known"}]}`, `{"detail":"Patient/7 is not known"}`, "fhir"},
	{"fhir xml", 404, `<OperationOutcome xmlns="http://hl7.org/fhir"><issue><severity value="error"/><code value="not-found"/><diagnostics value="Patient/7 is not known"/></issue></OperationOutcome>`, `{"detail":"Patient/7 is not known"}`, "fhir"},
	{"soap 1.2", 400, `<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body><env:Fault><env:Code><env:Value>env:Sender</env:Value></env:Code><env:Reason><env:Text xml:lang="en">Card has expired</env:Text></env:Reason></env:Fault></env:Body></env:Envelope>`, `{"detail":"Card has expired"}`, "soap"},
	{"soap client on 500", 500, `<s:Envelope xmlns:s="x"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>Order is closed</faultstring></s:Fault></s:Body></s:Envelope>`, `{"detail":"Order is closed"}`, "soap"},
	{"soap server on 500", 500, `<s:Envelope xmlns:s="x"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>Ledger broke</faultstring></s:Fault></s:Body></s:Envelope>`, `{"detail":"Internal server error"}`, "soap"},
	{"soap client leaks", 500, `<s:Envelope xmlns:s="x"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>ORA-12541: TNS:no listener at db.internal</faultstring></s:Fault></s:Body></s:Envelope>`, `{"detail":"Internal server error"}`, "soap"},
	// servers
	{"apache", 404, "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>\n<p>The requested URL was not found on this server.</p>\n<hr>\n<address>Apache/2.4.57 (Debian) Server at localhost Port 80</address>\n</body></html>\n", `{"detail":"Not Found: The requested URL was not found on this server."}`, "server-page"},
	{"haproxy", 403, "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n", `{"detail":"Forbidden: Request forbidden by administrative rules."}`, "server-page"},
	{"varnish", 405, `<!DOCTYPE html><html><head><title>405 Not allowed</title></head><body><h1>Error 405 Not allowed</h1><p>Not allowed</p><h3>Guru Meditation:</h3><p>XID: 32770</p><hr><p>Varnish cache server</p></body></html>`, `{"detail":"Not allowed"}`, "varnish"},
	{"cloudfront", 403, `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd"><HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1><H2>The request could not be satisfied.</H2><HR noshade size="1px">Request blocked. We can't connect to the server for this app.<BR clear="all"><PRE>Generated by cloudfront (CloudFront)
Request ID: abc==</PRE></BODY></HTML>`, `{"detail":"The request could not be satisfied: Request blocked."}`, "cloudfront"},
	{"envoy rbac", 403, "RBAC: access denied", `{"detail":"RBAC: access denied"}`, "text"},
	{"traefik", 404, "404 page not found\n", `{"detail":"page not found"}`, "text"},
	{"bottle", 404, `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN"><html><head><title>Error: 404 Not Found</title></head><body><h1>Error: 404 Not Found</h1><p>Sorry, the requested URL <tt>&#039;http://x/&#039;</tt> caused an error:</p><pre>Not found: &#039;/&#039;</pre></body></html>`, "", ""},
	{"azure gateway", 403, "<html><head><title>403 Forbidden</title></head><body><center><h1>403 Forbidden</h1></center><hr><center>Microsoft-Azure-Application-Gateway/v2</center></body></html>", `{"detail":"Forbidden"}`, "server-page"},
	{"symfony page", 404, `<!DOCTYPE html><html><head><title>An Error Occurred: Not Found</title></head><body><h1>Oops! An Error Occurred</h1><h2>The server returned a "404 Not Found".</h2><p>Something is broken.</p></body></html>`, `{"detail":"Not Found"}`, "symfony"},
	{"whitelabel", 404, `<html><body><h1>Whitelabel Error Page</h1><p>This application has no explicit mapping for /error.</p><div>There was an unexpected error (type=Not Found, status=404).</div></body></html>`, `{"detail":"Not Found"}`, "spring"},
	{"spring parse error", 400, "{\"timestamp\":1,\"status\":400,\"error\":\"Bad Request\",\"message\":\"JSON parse error: Cannot deserialize value of type `java.time.LocalDate` from String\"}", `{"detail":"JSON parse error"}`, "spring"},
	{"fields with envelope names", 400, `{"code":"invalid","message":"Invalid request","fields":{"name":"is required","title":"too long by far"}}`, `{"detail":[{"loc":["name"],"msg":"is required","type":"value_error"},{"loc":["title"],"msg":"too long by far","type":"value_error"}]}`, "json"},
	{"response envelope", 400, `{"response":{"statusCode":400,"message":"x is wrong"}}`, `{"detail":"x is wrong"}`, "json"},
	{"express-validator mapped", 400, `{"errors":{"email":{"msg":"Invalid value","param":"email","location":"body","value":"x"}}}`, `{"detail":[{"loc":["email"],"msg":"Invalid value","type":"value_error"}]}`, ""},
	{"json-rpc", 400, `{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":{"missing":["name"]}},"id":1}`, `{"detail":"Invalid params"}`, "json"},
	{"wordpress", 400, `{"code":"rest_invalid_param","message":"Invalid parameter(s): per_page","data":{"status":400,"params":{"per_page":"per_page must be between 1 and 100"}}}`, `{"detail":[{"loc":["per_page"],"msg":"per_page must be between 1 and 100","type":"value_error"}]}`, "json"},
	{"intuit", 400, `{"Fault":{"Error":[{"Message":"Required param missing","Detail":"Required parameter Line is missing in the request","code":"2020","element":"Line"}],"type":"ValidationFault"}}`, `{"detail":"Required parameter Line is missing in the request"}`, "json"},
	{"apigee", 401, `{"fault":{"faultstring":"Invalid ApiKey for given resource","detail":{"errorcode":"oauth.v2.InvalidApiKeyForGivenResource"}}}`, `{"detail":"Invalid ApiKey for given resource"}`, "json"},
	// XML of Python frameworks
	{"drf xml", 404, `<?xml version="1.0" encoding="utf-8"?>` + "\n<root><detail>No such order.</detail></root>", `{"detail":"No such order."}`, "xml-dict"},
	{"drf xml fields", 400, `<?xml version="1.0" encoding="utf-8"?>` + "\n<root><email><list-item>Enter a valid email address.</list-item></email><items><list-item></list-item><list-item><qty><list-item>Too big.</list-item></qty></list-item></items></root>", `{"detail":[{"loc":["email"],"msg":"Enter a valid email address.","type":"value_error"},{"loc":["items",1,"qty"],"msg":"Too big.","type":"value_error"}]}`, "xml-dict"},
	{"drf xml, no field", 400, `<root><non_field_errors><list-item>Passwords differ.</list-item></non_field_errors></root>`, `{"detail":"Passwords differ."}`, "xml-dict"},
	{"drf xml, texts", 400, `<root><list-item>First is wrong.</list-item><list-item>Second is wrong.</list-item></root>`, `{"detail":"First is wrong; Second is wrong."}`, "xml-dict"},
	{"dicttoxml", 400, `<?xml version="1.0" encoding="UTF-8" ?><root><errors type="list"><item type="dict"><field type="str">email</field><message type="str">Invalid email</message></item></errors></root>`, `{"detail":[{"loc":["email"],"msg":"Invalid email","type":"value_error"}]}`, "xml-dict"},
	{"dicttoxml with another root", 403, `<answer><error type="dict"><code type="int">7</code><message type="str">Not your order</message></error></answer>`, `{"detail":"Not your order"}`, "xml-dict"},
	{"dicttoxml of pydantic", 422, `<root><detail type="list"><item type="dict"><loc type="list"><item type="str">body</item><item type="int">0</item></loc><msg type="str">field required</msg><type type="str">value_error.missing</type></item></detail></root>`, `{"detail":[{"loc":["body",0],"msg":"field required","type":"value_error.missing"}]}`, "xml-dict"},
	{"xml fields as elements", 400, `<ValidationError><email>Enter a valid email</email></ValidationError>`, `{"detail":[{"loc":["email"],"msg":"Enter a valid email","type":"value_error"}]}`, "xml"},
	{"rails xml", 422, `<errors><error>Name can't be blank</error><error>Age is not a number</error></errors>`, `{"detail":"Name can't be blank; Age is not a number"}`, "xml"},
	{"xml dict that leaks", 400, `<root><detail>dial tcp 10.0.0.5:5432: connection refused</detail></root>`, `{"detail":"Bad Request"}`, "xml-dict"},
	// places in texts
	{"fastify query", 400, `{"statusCode":400,"code":"FST_ERR_VALIDATION","error":"Bad Request","message":"querystring/page must be >= 1, headers must have required property 'x-tenant'"}`, `{"detail":[{"loc":["query","page"],"msg":"querystring/page must be \u003e= 1","type":"value_error"},{"loc":["header","x-tenant"],"msg":"headers must have required property 'x-tenant'","type":"value_error"}]}`, "fastify"},
	{"fastify without a code", 400, `{"statusCode":400,"error":"Bad Request","message":"querystring/page must be integer"}`, `{"detail":"querystring/page must be integer"}`, "nest"},
	{"place in any text", 400, `{"error":"params/id must match format \"uuid\""}`, `{"detail":"params/id must match format \"uuid\""}`, "json"},
	{"location as a path", 422, `{"title":"Unprocessable Entity","status":422,"errors":[{"message":"expected number","location":"query.page","value":"/etc/x"},{"message":"unknown","location":"body.items[0].sku"},{"message":"required","location":"headers.x-tenant"}]}`, `{"detail":[{"loc":["query","page"],"msg":"expected number","type":"value_error"},{"loc":["body","items",0,"sku"],"msg":"unknown","type":"value_error"},{"loc":["header","x-tenant"],"msg":"required","type":"value_error"}]}`, "problem+json"},
	// Jira
	{"jira", 400, `{"errorMessages":["The request is not complete."],"errors":{"summary":"You must specify a summary.","project":"project is required"}}`, `{"detail":[{"loc":["body"],"msg":"The request is not complete.","type":"value_error"},{"loc":["summary"],"msg":"You must specify a summary.","type":"value_error"},{"loc":["project"],"msg":"project is required","type":"value_error"}]}`, "jira"},
	{"jira, no field", 404, `{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}`, `{"detail":"Issue does not exist or you do not have permission to see it."}`, "jira"},
	{"jira, only fields", 400, `{"errorMessages":[],"errors":{"summary":"Field 'summary' cannot be set."}}`, `{"detail":[{"loc":["summary"],"msg":"Field 'summary' cannot be set.","type":"value_error"}]}`, "jira"},
	// databases
	{"sqlstate, a value", 400, `{"code":"22P02","details":null,"hint":null,"message":"invalid input syntax for type integer: \"abc\""}`, `{"detail":"invalid input syntax for type integer: \"abc\""}`, "sqlstate"},
	{"sqlstate, no hint", 400, `{"code":"22P02","message":"invalid input syntax for type uuid: \"abc\""}`, `{"detail":"invalid input syntax for type uuid: \"abc\""}`, "sqlstate"},
	{"sqlstate within error", 400, `{"error":{"code":"22007","message":"invalid input syntax for type date: \"x\""}}`, `{"detail":"invalid input syntax for type date: \"x\""}`, "sqlstate"},
	{"sqlstate, the schema's enum", 400, `{"code":"22P02","details":null,"hint":null,"message":"invalid input value for enum order_status: \"shiped\""}`, `{"detail":"invalid input value: \"shiped\""}`, "sqlstate"}, //nolint:misspell // the client's mistake, which the database quotes
	{"sqlstate, the schema's type", 400, `{"code":"22P02","message":"invalid input syntax for type shop.Money: \"x\""}`, `{"detail":"Bad Request"}`, ""},
	{"sqlstate, raised by the application", 400, `{"code":"P0001","details":null,"hint":null,"message":"Insufficient stock for item 7"}`, `{"detail":"Insufficient stock for item 7"}`, "postgrest"},
	{"sqlstate, a constraint", 409, `{"code":"23505","details":"Key (email)=(a@b.c) already exists.","hint":null,"message":"duplicate key value violates unique constraint \"users_email_key\""}`, `{"detail":"Conflict"}`, "postgrest"},
	{"sqlstate, a column", 400, `{"code":"42703","details":null,"hint":null,"message":"column users.nme does not exist"}`, `{"detail":"Bad Request"}`, "postgrest"},
	{"sqlstate, more than the message", 400, `{"code":"22P02","message":"invalid input syntax for type integer: \"x\" in SELECT a FROM b"}`, `{"detail":"Bad Request"}`, ""},
	// odd
	{"empty", 404, "", `{"detail":"Not found"}`, "empty"},
	{"json string", 403, `"No entry for you"`, `{"detail":"No entry for you"}`, "json"},
	{"json null", 404, `null`, `{"detail":"Not found"}`, "json"},
	{"json number", 400, `42`, `{"detail":"Bad Request"}`, "json"},
	{"json empty object", 403, `{}`, `{"detail":"Insufficient permissions"}`, "json"},
	{"cut off json", 400, `{"error":{"message":"Amount is too large","path":"/x`, `{"detail":"Amount is too large"}`, "broken"},
	{"xssi", 400, ")]}'\n{\"message\":\"Bad cursor\"}", `{"detail":"Bad cursor"}`, "json"},
	{"markup in a message", 400, `{"message":"Use <b>x</b> & y"}`, `{"detail":"Use \u003cb\u003ex\u003c/b\u003e \u0026 y"}`, "json"},
	{"traceback text", 400, "Traceback (most recent call last):\n  File \"/srv/x.py\", line 1\nValueError: x", `{"detail":"Bad Request"}`, "traceback"},
	{"array of objects", 400, `[{"message":"a is bad"},{"message":"b is bad"}]`, `{"detail":"a is bad; b is bad"}`, "json"},
	{"big integer in a path", 422, `{"errors":[{"loc":["a",12345678901234567890],"msg":"bad"}]}`, `{"detail":[{"loc":["a","12345678901234567890"],"msg":"bad","type":"value_error"}]}`, "pydantic"},
}

func TestFamilies(t *testing.T) {
	tr := newTranslator(t, Config{})
	for _, c := range families {
		t.Run(c.name, func(t *testing.T) {
			p, pass := tr.Translate(Response{Status: c.status, Header: http.Header{}, Body: []byte(c.body)})
			if pass {
				t.Fatal("passed")
			}
			got := string(tr.Append(nil, p, FormatFastAPI, Env{}))
			if c.want == "" {
				t.Logf("%s: %s", p.Reader, got)
			} else if got != c.want {
				t.Errorf("got  %s\nwant %s\nreader %s, leak %q", got, c.want, p.Reader, p.Leak)
			}
			if c.reader != "" && p.Reader != c.reader {
				t.Errorf("reader: got %s, want %s", p.Reader, c.reader)
			}
			if strings.Contains(got, "<") {
				t.Errorf("markup in %s", got)
			}
		})
	}
}
