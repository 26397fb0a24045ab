// ask tells what a script gets to know of an answer.
async function ask(url, options) {
	const response = await fetch(url, options);
	const body = await response.text();
	const said = [response.status, body];
	for (const name of ["Retry-After", "RateLimit", "X-RateLimit-Remaining", "WWW-Authenticate", "X-Request-Id"]) {
		if (response.headers.has(name)) {
			said.push(name);
		}
	}
	return said.join(" ");
}

// report does one thing after another, and tells the server of the page what came of
// each.
async function report(things) {
	const results = {};
	for (const [name, thing] of Object.entries(things)) {
		try {
			results[name] = await thing();
		} catch (error) {
			results[name] = error.name;
		}
	}
	await fetch("/report", { method: "POST", body: JSON.stringify(results) });
}
