"""The two pages of the OAuth double; field names are those of OpenShift's login form."""

import html

_HEAD = "<!doctype html><html lang=en><meta charset=utf-8><title>OAuth double</title>"


def login(then: str, problem: str = "") -> bytes:
    text = f"""{_HEAD}
<h1>Log in (double: any password)</h1>
<p role=alert>{html.escape(problem)}</p>
<form action="/login" method="POST">
<input type="hidden" name="then" value="{html.escape(then)}">
<label>User name <input id="inputUsername" name="username" autofocus></label>
<label>Password <input id="inputPassword" name="password" type="password"></label>
<button type="submit">Log in</button>
</form></html>
"""
    return text.encode()


def approve(client: str, user: str, scopes: tuple[str, ...]) -> bytes:
    text = f"""{_HEAD}
<h1>Authorize access (double)</h1>
<p>{html.escape(client)} asks for {html.escape(" ".join(scopes))} of {html.escape(user)}.</p>
<form method="POST"><button name="approve" value="yes">Allow selected permissions</button></form></html>
"""
    return text.encode()
