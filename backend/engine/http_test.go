package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// askedHTTP makes the request that a manifest's "http" member describes.
func askedHTTP(t *testing.T, h string, creds map[string]any) (string, error) {
	t.Helper()
	ms, err := newManifests()
	if err != nil {
		t.Fatal(err)
	}
	man, err := ms.parse("manifest.json", []byte(`{"name":"x","category":"t","platform":"x","http":`+h+`}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, &adapter.Failure{Stage: "timeout", Text: "its fetch timed out after 1s; its runner was killed"})
	defer cancel()
	defer client.CloseIdleConnections()
	fl := &fleet{cfg: Config{NoApproval: true}}
	got, err := (&fetcher{fleet: fl, approval: &approval{fleet: fl}}).askHTTP(ctx, &module{}, man, func() (secrets.Values, error) { return secrets.NewValues(creds), nil })
	if err != nil {
		return "", err
	}
	return string(got.Data), nil
}

func TestHTTPModulesAsk(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, pass, _ := r.BasicAuth()
		_ = json.NewEncoder(w).Encode(map[string]any{"m": r.Method, "q": r.URL.RawQuery, "a": r.Header.Get("Authorization"), "k": r.Header.Get("X-Key"), "b": string(body), "u": user + "/" + pass, "big": json.Number("12345678901234567890")})
	})
	mux.HandleFunc("/again", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/echo?from=again", http.StatusFound)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.2:1/", http.StatusFound)
	})
	mux.HandleFunc("/denied", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such key\nand more", http.StatusUnauthorized)
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) {
		for range 10 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/pages", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("page") {
		case "":
			fmt.Fprint(w, `{"items":[1,2],"next":"/pages?page=2"}`)
		case "2":
			fmt.Fprint(w, `{"items":[3],"next":"http://127.0.0.2:1/"}`)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	creds := map[string]any{"api_key": "s3cret-key", "username": "ann", "password": "pa ss"}
	for _, c := range []struct{ name, spec, want, err string }{
		{"as it is", `{"url":"URL/echo","transform":".m"}`, `"GET"`, ""},
		{"digits are kept", `{"url":"URL/echo","transform":".big"}`, `12345678901234567890`, ""},
		{"bearer", `{"url":"URL/echo","auth":{"type":"bearer"},"transform":".a"}`, `"Bearer s3cret-key"`, ""},
		{"basic", `{"url":"URL/echo","auth":{"type":"basic"},"transform":".u"}`, `"ann/pa ss"`, ""},
		{"header", `{"url":"URL/echo","auth":{"type":"header","name":"X-Key"},"transform":".k"}`, `"s3cret-key"`, ""},
		{"query", `{"url":"URL/echo?a=1","query":{"u":"${password}"},"auth":{"type":"query","name":"appid"},"transform":".q"}`, `"a=1\u0026appid=s3cret-key\u0026u=pa+ss"`, ""},
		{"body", `{"url":"URL/echo","body":{"key":"${api_key}","n":1},"transform":"[.m, .b]"}`, `["POST","{\"key\":\"s3cret-key\",\"n\":1}"]`, ""},
		{"redirect", `{"url":"URL/again","auth":{"type":"bearer"},"transform":"[.q, .a]"}`, `["from=again","Bearer s3cret-key"]`, ""},
		{"many results", `{"url":"URL/echo","transform":".m, .m"}`, `["GET","GET"]`, ""},
		{"expected status", `{"url":"URL/denied","expect_status":[200,401]}`, "", "its answer is not JSON"},
		{"unexpected status", `{"url":"URL/echo","expect_status":204}`, "", "answered 200 OK"},

		{"elsewhere", `{"url":"URL/away"}`, "", "redirects to another host"},
		{"denied", `{"url":"URL/denied?k=${api_key}"}`, "", "answered 401 Unauthorized: no such key"},
		{"no JSON", `{"url":"URL/html"}`, "", "is not JSON (text/html"},
		{"huge", `{"url":"URL/huge"}`, "", "over 8 MiB"},
		{"hangs", `{"url":"URL/hang"}`, "", "its fetch timed out after 1s"},
		{"nobody there", `{"url":"http://127.0.0.1:1/?k=${api_key}"}`, "", "connection refused"},
		{"missing credential", `{"url":"URL/echo?k=${token}"}`, "", `credential "token" is missing`},
		{"transform fails", `{"url":"URL/echo","transform":".m.x"}`, "", "its transform failed: expected an object"},
		{"transform hangs", `{"url":"URL/echo","transform":"def f: f; f"}`, "", "its fetch timed out after 1s"},
		{"transform takes all", `{"url":"URL/echo","transform":"[range(1e12)]"}`, "", "its "},
		{"next page elsewhere", `{"url":"URL/pages","transform":".items","pagination":{"next":".next"}}`, "", "at another host"},
		{"pages", `{"url":"URL/pages","transform":".items","pagination":{"next":".next","max_pages":2}}`, `[1,2,3]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := askedHTTP(t, strings.ReplaceAll(c.spec, "URL", srv.URL), creds)
			if c.err == "" && err != nil || !strings.Contains(fmt.Sprint(err), c.err) || c.err == "" && !sameJSON(got, c.want) {
				t.Errorf("got %s, %v; want %s %s", got, err, c.want, c.err)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "pa ss")) {
				t.Errorf("a credential is in %v", err)
			}
		})
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

func TestHTTPManifestsAreChecked(t *testing.T) {
	ms, err := newManifests()
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{
		`{"url":"ftp://x/"}`:                                  "it should match",
		`{"url":"https://x/","auth":{"type":"header"}}`:       `"name" is missing`,
		`{"url":"https://x/","transform":".["}`:               "not a jq program",
		`{"url":"https://x/","transform":"input | f"}`:        "not a jq program",
		`{"url":"https://x/","method":"GET","body":"x"}`:      "has no body",
		`{"url":"https://x/","expect_status":99}`:             "",
		`{"url":"https://${k}/"}`:                             "host of a url",
		`{"url":"https://u:p@x?a"}`:                           "host of a url",
		`{"url":"https://x/","verify":false}`:                 "verify",
		`{"headers":{}}`:                                      `"url" is missing`,
		`{"url":"https://x/","pagination":{"next":"import"}}`: "not a jq program",
	} {
		_, err := ms.parse("manifest.json", []byte(`{"name":"x","category":"t","platform":"x","http":`+spec+`}`))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", spec, err, want)
		}
	}
}

func TestHTTPModuleRunsWithoutPython(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"main":{"temp":21.5}}`) }))
	defer srv.Close()
	defer client.CloseIdleConnections()
	r := newRig(t, map[string]string{"modules/weather/now/manifest.json": fmt.Sprintf(
		`{"name":"now","version":"1","category":"weather","platform":"now","status":"installed","http":{"url":%q,"transform":"{temperature: .main.temp}"}}`, srv.URL+"/now?token=private")})
	r.start(Config{Python: "no-such-python"})
	m := r.module("weather/now", "fetches", healthy)
	if !strings.Contains(m.LastResult, `"temperature": 21.5`) || m.Runner != "running" || m.Credentials != state.CredentialsNotNeeded {
		t.Errorf("%s, %s, %s", m.LastResult, m.Runner, m.Credentials)
	}
	if want := "GET " + srv.URL + "/now"; m.Request != want {
		t.Errorf("it is shown to ask %q, want %q", m.Request, want)
	}
	if _, err := r.do(state.ModuleDisable, "weather/now", nil, nil); err != nil {
		t.Fatal(err)
	}
	if valid, _, err := r.e.Modules().CheckCredentials(context.Background(), "now"); !valid || err != nil {
		t.Errorf("a check without its running: %v, %v", valid, err)
	}
}
