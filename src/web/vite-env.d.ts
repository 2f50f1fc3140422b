// What Vite adds to imports: styles, assets by address, import.meta.glob.
/// <reference types="vite/client" />
