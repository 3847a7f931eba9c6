// Python beside the page: it loads the graph room of bayescausal and answers questions with it.

import { loadPyodide } from "./pyodide/pyodide.mjs";

async function start() {
  const [python, packages] = await Promise.all([
    loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href }),
    fetch(new URL("./packages.zip", import.meta.url)).then((response) => response.arrayBuffer()),
  ]);
  python.unpackArchive(packages, "zip", { extractDir: "/packages" });
  python.runPython("import sys; sys.path.insert(0, '/packages')");
  return python.runPython("from bayescausal.graph.playground.explore import explore; explore");
}

const ready = start();
ready.catch((error) => postMessage({ failed: String(error.message ?? error) }));

onmessage = async ({ data }) => {
  const explore = await ready;
  try {
    postMessage({ id: data.id, answer: explore(data.request) });
  } catch (error) {
    postMessage({ id: data.id, answer: JSON.stringify({ problem: String(error.message ?? error) }) });
  }
};
