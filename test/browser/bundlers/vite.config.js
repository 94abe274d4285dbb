import vue from "@vitejs/plugin-vue";

// `vite` without build serves the sources, and passes on to the gateway what is its.
const gateway = { target: process.env.GATEWAY, ws: true };

export default { plugins: [vue()], server: { proxy: { "/bus": gateway, "/longpolling": gateway, "/websocket": gateway } } };
