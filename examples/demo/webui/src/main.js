import "./style.css";

const REFRESH_MS = 2000;
const byId = (id) => document.getElementById(id);

async function request(path, options) {
  const response = await fetch(path, { signal: AbortSignal.timeout(3000), ...options });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response.json();
}

function showAbout(about) {
  const rows = [
    ["process", about.pid],
    ["version", about.version],
    ["started", new Date(about.started_at).toLocaleTimeString()],
  ];
  byId("about").replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      return [term, text];
    }),
  );
}

function showNotes(notes) {
  byId("notes").replaceChildren(
    ...notes.map((note) => {
      const item = document.createElement("li");
      item.textContent = note.text;
      return item;
    }),
  );
}

async function refresh() {
  try {
    const [health, about, notes] = await Promise.all(
      ["/api/health", "/api/about", "/api/notes"].map((path) => request(path)),
    );
    byId("backend").textContent = `Backend is ${health.status}.`;
    byId("backend").dataset.state = health.status;
    showAbout(about);
    showNotes(notes);
  } catch (error) {
    byId("backend").textContent = `Backend does not answer (${error.message}).`;
    byId("backend").dataset.state = "down";
  }
}

byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  await request("/api/notes", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text: byId("text").value }),
  });
  event.target.reset();
  await refresh();
});

refresh();
setInterval(refresh, REFRESH_MS);
