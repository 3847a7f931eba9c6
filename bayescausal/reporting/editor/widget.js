// For notebooks: the same editor, which asks the Python of the kernel.

export { mount };

export default {
  render({ model, el }) {
    const open = new Map();
    let last = 0;
    const heard = (message) => {
      const { id, answer } = message ?? {};
      open.get(id)?.(JSON.parse(answer));
      open.delete(id);
    };
    model.on("msg:custom", heard);
    const ask = (question) => new Promise((resolve) => {
      const id = `${Date.now()}-${++last}`;
      open.set(id, resolve);
      model.send({ id, request: JSON.stringify(question) });
    });
    const root = document.createElement("div");
    el.append(root);
    let own = model.get("drawing");
    const editor = mount(root, ask, {
      drawing: own,
      exercises: model.get("exercises"),
      changed: (drawing) => { own = drawing; model.set("drawing", drawing); model.save_changes(); },
    });
    const told = () => {
      const drawing = model.get("drawing");
      if (JSON.stringify(drawing) !== JSON.stringify(own)) editor.load(drawing);
    };
    model.on("change:drawing", told);
    return () => { model.off("msg:custom", heard); model.off("change:drawing", told); };
  },
};
